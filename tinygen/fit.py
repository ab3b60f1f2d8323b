"""Does a compiled model fit a board and the user's budgets, and which layers set the peak?"""

from __future__ import annotations

from collections.abc import Sequence

from tinygen.boards import Board
from tinygen.compile import Compiled
from tinygen.errors import DoesNotFitError
from tinygen.program import Program

NAMED_LAYERS = 3


def peak_layers(program: Program) -> tuple[tuple[int, int], ...]:
    """The layers with the most live bytes, most first: (layer, live bytes)."""
    live = [(layer.index, program.plan.live_bytes(layer.index)) for layer in program.layers]
    return tuple(sorted(live, key=lambda pair: (-pair[1], pair[0]))[:NAMED_LAYERS])


def check_fit(
    compiled: Compiled, flash_needed_bytes: int, *, max_ram_bytes: int | None = None, max_flash_bytes: int | None = None
) -> None:
    """Raise DoesNotFitError when arena and stack exceed the RAM, or weights and code the flash, of board or budget.

    `flash_needed_bytes` is weights and code, or the weights alone where no compiler could tell the code's size.
    """
    board, program = compiled.board, compiled.program
    needs_ram = program.plan.arena_bytes
    place = f"{compiled.model.label}: "
    if max_ram_bytes is not None and needs_ram > max_ram_bytes:
        raise DoesNotFitError(
            f"{place}the arena needs {needs_ram:,} bytes, --max-ram allows {max_ram_bytes:,}. {_peak(program)}"
        )
    if needs_ram + board.stack_bytes > board.ram_bytes:
        raise DoesNotFitError(
            f"{place}does not fit the RAM of board {board.name}: needs {needs_ram + board.stack_bytes:,} bytes "
            f"(arena {needs_ram:,}, stack {board.stack_bytes:,}), has {board.ram_bytes:,}. {_peak(program)} "
            f"{_hint(board)}"
        )
    for has, label in ((max_flash_bytes, "--max-flash allows"), (board.flash_bytes, f"board {board.name} has")):
        if has is not None and flash_needed_bytes > has:
            heaviest = sorted(program.layers, key=lambda layer: -_weights_of(program, layer.index))[:NAMED_LAYERS]
            names = ", ".join(
                f"{layer.index} ({layer.op_name}, {_weights_of(program, layer.index):,})" for layer in heaviest
            )
            raise DoesNotFitError(
                f"{place}needs {flash_needed_bytes:,} bytes of flash, {label} {has:,}. "
                f"The layers with the most constants: {names}. {_hint(board)}"
            )


def check_vectors(compiled: Compiled, inferences: int) -> None:
    """Raise DoesNotFitError when the inputs that a self-test embeds do not fit beside the weights."""
    inputs_bytes = inferences * sum(tensor.size_bytes for tensor in compiled.program.graph.inputs)
    needs, has = compiled.program.weights_bytes + inputs_bytes, compiled.board.flash_bytes
    if needs > has:
        raise DoesNotFitError(
            f"{compiled.model.label}: the self-test's inputs take {inputs_bytes:,} bytes; with the weights that is "
            f"{needs:,} of flash, board {compiled.board.name} has {has:,}. {_fewer(inferences, compiled.board)}"
        )


def _fewer(inferences: int, board: Board) -> str:
    return "Embed fewer: --self-test 1." if inferences > 1 else _hint(board)


def fit_problem(compiled: Compiled) -> str | None:
    """Why the model does not fit its board, code not counted, or None when it does."""
    try:
        check_fit(compiled, compiled.program.weights_bytes)
    except DoesNotFitError as error:
        return str(error)
    return None


def check_fit_together(
    models: Sequence[Compiled],
    flash_needed_bytes: Sequence[int],
    arena_bytes: int,
    *,
    max_ram_bytes: int | None = None,
    max_flash_bytes: int | None = None,
) -> None:
    """The same for several models in one firmware: each alone, then all together.

    `arena_bytes` is what their arenas take together: the sum, or the largest where they share one.
    """
    if len(models) == 1:
        check_fit(models[0], flash_needed_bytes[0], max_ram_bytes=max_ram_bytes, max_flash_bytes=max_flash_bytes)
        return
    for model, flash in zip(models, flash_needed_bytes, strict=True):
        check_fit(model, flash, max_ram_bytes=max_ram_bytes, max_flash_bytes=max_flash_bytes)
    board, flash_bytes = models[0].board, sum(flash_needed_bytes)
    arenas = ", ".join(f"{m.program.name} {m.program.plan.arena_bytes:,}" for m in models)
    hint = "Models that take turns can share one arena: --shared-arena. " + _hint(board)
    if max_ram_bytes is not None and arena_bytes > max_ram_bytes:
        raise DoesNotFitError(
            f"{len(models)} models: the arenas need {arena_bytes:,} bytes ({arenas}), --max-ram allows "
            f"{max_ram_bytes:,}. {hint}"
        )
    if arena_bytes + board.stack_bytes > board.ram_bytes:
        raise DoesNotFitError(
            f"{len(models)} models: they do not fit the RAM of board {board.name} together: they need "
            f"{arena_bytes + board.stack_bytes:,} bytes (arenas {arenas}; stack {board.stack_bytes:,}), it has "
            f"{board.ram_bytes:,}. {hint}"
        )
    for has, label in ((max_flash_bytes, "--max-flash allows"), (board.flash_bytes, f"board {board.name} has")):
        if has is not None and flash_bytes > has:
            needs = ", ".join(f"{m.program.name} {n:,}" for m, n in zip(models, flash_needed_bytes, strict=True))
            raise DoesNotFitError(
                f"{len(models)} models: they need {flash_bytes:,} bytes of flash together ({needs}), {label} {has:,}. "
                f"{_hint(board)}"
            )


def _weights_of(program: Program, layer: int) -> int:
    return sum(t.size_bytes for t in program.graph.nodes[layer].inputs if t is not None and t.is_constant)


def _peak(program: Program) -> str:
    names = [f"{layer} ({program.layers[layer].op_name}, {live:,})" for layer, live in peak_layers(program)]
    return f"The layers that set the peak: {', '.join(names)}."


def _hint(board: Board) -> str:
    return "Choose a smaller model or another board: `tinygen boards` lists their memories."
