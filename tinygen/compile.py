"""From a model file to C: the pipeline's arrows in a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tinygen.boards import Board
from tinygen.emit import Sources, c_identifier, emit
from tinygen.emit.names import is_c_identifier
from tinygen.errors import UsageError
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, applicable, flash_budget, named_bytes
from tinygen.kernels.rows import Rows
from tinygen.lower import lower
from tinygen.passes import Pass, convolve_single_channels, drop_constant_channels, run_passes
from tinygen.passes.push_rows import push_rows
from tinygen.passes.single_channel import convolution_is_faster
from tinygen.placement import NOWHERE, Placement, place
from tinygen.plan import arrange, arrange_in_best_order, recompute
from tinygen.program import Program
from tinygen.tflite import ModelFile


class ConstantChannels(Enum):
    """What becomes of channels that are proved to hold one value for every input."""

    DROP = "drop"
    KEEP = "keep"


class InputForm(Enum):
    """How the caller gives the input: whole in the arena, or row by row."""

    WHOLE = "whole"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Options:
    """What shapes the generated C besides model and board.

    `name` is the C prefix, by default the file's stem. `kernels` names the kernel of a layer, by its index as profile
    shows it, where the choice shall not be left to `optimize`. `arena_memory` and `weights_memory` name memories
    of the board.
    """

    reference: Reference = Reference.LITERT
    optimize: Optimize = Optimize.BALANCED
    name: str | None = None
    kernels: Mapping[int, str] = field(default_factory=dict)
    constant_channels: ConstantChannels = ConstantChannels.DROP
    arena_memory: str | None = None
    weights_memory: str | None = None
    input_form: InputForm = InputForm.WHOLE


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A model as C for a board."""

    model: ModelFile
    board: Board
    options: Options
    program: Program
    sources: Sources
    placement: Placement = NOWHERE

    @property
    def identity(self) -> str:
        """What a self-test says of its model, so that no other is taken for it: its file's digest, the reference."""
        return f"{self.model.sha256[:16]} {self.options.reference.value}"


def compile_model(model: ModelFile, board: Board, options: Options = Options()) -> Compiled:
    """Read graph → passes → kernels → plan → program → text.

    Raises UsageError when the name is no C identifier, a layer's kernel does not apply to it, the board has not the
    memory that is named, or the input cannot be pushed row by row.
    """
    if options.name is not None and not is_c_identifier(options.name):
        raise UsageError(
            f"--name {options.name!r} is no C identifier of up to 40 characters, or it is a keyword of C or C++, one "
            "of their headers, or a name that projects need for themselves, such as test. "
            "Use letters, digits and underscores, starting with a letter."
        )
    name = options.name or c_identifier(model.graph.name)
    graph = run_passes(model.graph, options.reference, leave_out=_left_out(board, options))
    if options.input_form is InputForm.ROWS:
        graph = push_rows(graph, options.reference)
    budget = flash_budget(model.graph)

    def rows_of(graph: Graph) -> Rows:
        return applicable(graph, board.target.features, options.reference)

    modes = [options.optimize]
    if options.optimize is Optimize.RAM:  # whose most promising plans, which alone are placed, are not always the best
        modes.append(Optimize.BALANCED)
    plans = [arrange_in_best_order(graph, rows_of(graph), mode, budget) for mode in modes]
    graph, schedule, planned = min(plans, key=lambda found: found[2].arena_bytes)
    if options.optimize is Optimize.RAM:
        graph, schedule, planned = recompute(graph, schedule, planned, rows_of, budget)
    if options.kernels:  # whose layers are counted in what has become of the graph
        rows = applicable(graph, board.target.features, options.reference, options.kernels)
        schedule, planned = arrange(graph, rows, options.optimize, budget + named_bytes(rows_of(graph), rows))
    program = lower(graph, schedule, planned, name, options.reference)
    placement = place(program, board, options.arena_memory, options.weights_memory)
    sources = emit(program, model_sha256=model.sha256, target=board.target.name, placement=placement)
    return Compiled(model, board, options, program, sources, placement)


def _left_out(board: Board, options: Options) -> tuple[Pass, ...]:
    """The passes that the board gains nothing by, or that the user does not want."""
    passes: list[Pass] = []
    if not convolution_is_faster(board.target.features):
        passes.append(convolve_single_channels)
    if options.constant_channels is ConstantChannels.KEEP:
        passes.append(drop_constant_channels)
    return tuple(passes)
