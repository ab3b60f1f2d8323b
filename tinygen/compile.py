"""From a model file to C: the pipeline's arrows in a row."""

from __future__ import annotations

from dataclasses import dataclass

from tinygen.boards import Board
from tinygen.emit import Sources, c_identifier, emit
from tinygen.emit.names import is_c_identifier
from tinygen.errors import UsageError
from tinygen.ir import Reference
from tinygen.kernels import Optimize, select
from tinygen.lower import lower
from tinygen.passes import run_passes
from tinygen.plan import plan
from tinygen.program import Program
from tinygen.tflite import ModelFile


@dataclass(frozen=True, slots=True)
class Options:
    """What shapes the generated C besides model and board. `name` is the C prefix, by default the file's stem."""

    reference: Reference = Reference.LITERT
    optimize: Optimize = Optimize.BALANCED
    name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A model as C for a board."""

    model: ModelFile
    board: Board
    options: Options
    program: Program
    sources: Sources


def compile_model(model: ModelFile, board: Board, options: Options = Options()) -> Compiled:
    """Read graph → passes → kernels → plan → program → text. Raises UsageError when the name is no C identifier."""
    if options.name is not None and not is_c_identifier(options.name):
        raise UsageError(
            f"--name {options.name!r} is no C identifier of up to 40 characters, or it is a keyword of C or C++, one "
            "of their headers, or a name that projects need for themselves, such as test. "
            "Use letters, digits and underscores, starting with a letter."
        )
    name = options.name or c_identifier(model.graph.name)
    graph = run_passes(model.graph, options.reference)
    schedule = select(graph, board.target.features)
    program = lower(graph, schedule, plan(graph, schedule, options.optimize), name, options.reference)
    sources = emit(program, model_sha256=model.sha256, target=board.target.name)
    return Compiled(model, board, options, program, sources)
