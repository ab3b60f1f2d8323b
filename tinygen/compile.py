"""From a model file to C: the pipeline's arrows in a row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tinygen.boards import Board
from tinygen.emit import Sources, c_identifier, emit
from tinygen.emit.names import is_c_identifier
from tinygen.errors import UsageError
from tinygen.ir import Reference
from tinygen.kernels import select
from tinygen.lower import lower
from tinygen.passes import convolve_single_channels, run_passes
from tinygen.passes.single_channel import convolution_is_faster
from tinygen.plan import plan
from tinygen.program import Program
from tinygen.tflite import ModelFile


class Optimize(Enum):
    """What the choice between several kernels of one layer weighs most."""

    BALANCED = "balanced"
    SPEED = "speed"
    RAM = "ram"
    FLASH = "flash"


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
    leave_out = () if convolution_is_faster(board.target.features) else (convolve_single_channels,)
    graph = run_passes(model.graph, options.reference, leave_out=leave_out)
    schedule = select(graph, board.target.features)
    program = lower(graph, schedule, plan(graph, schedule), name, options.reference)
    sources = emit(program, model_sha256=model.sha256, target=board.target.name)
    return Compiled(model, board, options, program, sources)
