"""Does a compiled model fit a board and the user's budgets, and which layers are to blame if not?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tinygen.boards import Board, MemoryKind
from tinygen.budgets import NO_BUDGETS, Budget, Budgets, Resource
from tinygen.compile import Compiled
from tinygen.errors import DoesNotFitError
from tinygen.ledger import CodeSize
from tinygen.program import Constant, Program

NAMED_LAYERS = 3


@dataclass(frozen=True, slots=True)
class Miss:
    """A limit that is exceeded: what is needed, what there is, and the sentences that say so and name the layers."""

    resource: Resource
    needs: int
    has: int
    said: str  # `the arena needs 12,384 bytes, --max-ram allows 8,000`
    blame: str  # `The layers that set the peak: ...`


def explain(misses: Sequence[Miss]) -> str:
    """What is exceeded, in sentences, then the layers to blame, each once."""
    said = "; ".join(miss.said for miss in misses)
    return " ".join([f"{said}.", *dict.fromkeys(miss.blame for miss in misses if miss.blame)])


def peak_layers(program: Program) -> tuple[tuple[int, int], ...]:
    """The layers with the most live bytes, most first: (layer, live bytes)."""
    live = [(layer.index, program.plan.live_bytes(layer.index)) for layer in program.layers]
    return _most(live)


def constant_layers(program: Program) -> tuple[tuple[int, int], ...]:
    """The layers with the most constants in flash, as their kernels pack them, most first: (layer, bytes)."""
    sizes = []
    for layer in program.layers:
        used = [value for value in layer.values if isinstance(value, Constant)]
        used += [source.constant for source in layer.sources if source.constant is not None]
        sizes.append((layer.index, sum({c.symbol: c.values.nbytes for c in used}.values())))
    return _most(sizes)


def find_misses(
    models: Sequence[Compiled], sizes: Sequence[CodeSize | None], arena_bytes: int, budgets: Budgets = NO_BUDGETS
) -> tuple[Miss, ...]:
    """Every limit of memory, of the board's or a budget's, that one firmware with these models exceeds.

    `sizes` are what a compiler says of each; without it only weights count as flash, and nothing is said of the stack.
    `arena_bytes` is what the arenas take together: the sum, or the largest where models share one. Each model is looked
    at alone first; only models that fit alone are looked at together.
    """
    misses = [m for model, size in zip(models, sizes, strict=True) for m in _misses(model, size, budgets, models)]
    if misses or len(models) == 1:
        return tuple(misses)
    return tuple(_misses_together(models, sizes, arena_bytes, budgets))


def check_fit(compiled: Compiled) -> None:
    """Raise DoesNotFitError when arena and stack exceed the RAM of the board, or the weights alone its flash."""
    misses = find_misses([compiled], [None], compiled.program.plan.arena_bytes)
    if misses:
        raise DoesNotFitError(f"{compiled.model.label}: {explain(misses)} {hint(compiled.board)}")


def flash_needed(model: Compiled, size: CodeSize | None) -> int:
    """Bytes of weights and code, or of weights alone where no compiler could tell the code's size."""
    needed = model.program.weights_bytes if size is None else size.code_bytes + size.weights_bytes
    chosen = model.placement.weights
    is_other_flash = chosen is not None and chosen.kind is MemoryKind.FLASH and chosen != model.board.flash
    return needed - (model.placement.constant_bytes if is_other_flash else 0)


def check_vectors(compiled: Compiled, inferences: int) -> None:
    """Raise DoesNotFitError when the inputs that a self-test embeds do not fit beside the weights."""
    inputs_bytes = inferences * sum(tensor.size_bytes for tensor in compiled.program.graph.inputs)
    needs, has = compiled.program.weights_bytes + inputs_bytes, compiled.board.flash_bytes
    if needs > has:
        raise DoesNotFitError(
            f"{compiled.model.label}: the self-test's inputs take {inputs_bytes:,} bytes; with the weights that is "
            f"{needs:,} of flash, board {compiled.board.name} has {has:,}. {_fewer(inferences, compiled.board)}"
        )


def instructions_miss(budget: Budget, instructions: int, layers: Sequence[tuple[str, int | None]]) -> Miss:
    """The miss of a budget of instructions; `layers` are each layer's name and count."""
    heaviest = sorted(((name, count) for name, count in layers if count), key=lambda pair: -pair[1])[:NAMED_LAYERS]
    names = ", ".join(f"{name}, {count:,})" for name, count in heaviest)
    return Miss(
        Resource.INSTRUCTIONS,
        instructions,
        budget.most,
        f"one inference takes {instructions:,} instructions, {budget.said} allows {budget.most:,}",
        f"The layers with the most instructions: {names}." if heaviest else "",
    )


def hint(board: Board) -> str:
    """What helps where no --optimize does."""
    return (
        f"`tinygen inspect MODEL --board {board.name} --ways-out`, with the same limits, plans what would fit, such as "
        "pushed rows or a smaller input; `tinygen boards` lists other boards."
    )


def _misses(model: Compiled, size: CodeSize | None, budgets: Budgets, models: Sequence[Compiled]) -> list[Miss]:
    """What one model alone exceeds; named where there are several."""
    board, program = model.board, model.program
    place = f"{model.model.label}: " if len(models) > 1 else ""
    arena, flash = program.plan.arena_bytes, flash_needed(model, size)
    stack = size.stack_bytes if size else None
    peak = f"The layers that set the peak: {_named(program, peak_layers(program))}."
    heaviest = f"The layers with the most constants: {_named(program, constant_layers(program))}."
    misses = []
    if (budget := budgets.ram) and arena > budget.most:
        said = f"{place}the arena needs {arena:,} bytes, {budget.said} allows {budget.most:,}"
        misses.append(Miss(Resource.RAM, arena, budget.most, said, peak))
    elsewhere = model.placement.arena
    if elsewhere is not None and elsewhere != board.ram:
        if arena > elsewhere.size_bytes:
            said = (
                f"{place}the arena does not fit the {elsewhere.name} of board {board.name}: needs {arena:,} bytes, has "
                f"{elsewhere.size_bytes:,}"
            )
            misses.append(Miss(Resource.RAM, arena, elsewhere.size_bytes, said, peak))
    elif arena + board.stack_bytes > board.ram_bytes:
        said = (
            f"{place}it does not fit the RAM of board {board.name}: needs {arena + board.stack_bytes:,} bytes "
            f"(arena {arena:,}, stack {board.stack_bytes:,}), has {board.ram_bytes:,}"
        )
        misses.append(Miss(Resource.RAM, arena + board.stack_bytes, board.ram_bytes, said, peak))
    for has, who in _flash_limits(board, budgets):
        if flash > has:
            what = "it needs" if size else "its constants alone need"
            said = f"{place}{what} {flash:,} bytes of flash, {who} {has:,}"
            misses.append(Miss(Resource.FLASH, flash, has, said, heaviest))
    if (budget := budgets.stack) and stack is not None and stack > budget.most:
        said = f"{place}one inference needs {stack:,} bytes of stack, {budget.said} allows {budget.most:,}"
        misses.append(Miss(Resource.STACK, stack, budget.most, said, _deepest(program, size)))
    return misses


def _misses_together(
    models: Sequence[Compiled], sizes: Sequence[CodeSize | None], arena_bytes: int, budgets: Budgets
) -> list[Miss]:
    board, several = models[0].board, f"{len(models)} models: "
    arenas = ", ".join(f"{m.program.name} {m.program.plan.arena_bytes:,}" for m in models)
    shared = "Models that take turns can share one arena: --shared-arena."
    misses = []
    if (budget := budgets.ram) and arena_bytes > budget.most:
        said = f"{several}the arenas need {arena_bytes:,} bytes ({arenas}), {budget.said} allows {budget.most:,}"
        misses.append(Miss(Resource.RAM, arena_bytes, budget.most, said, shared))
    elsewhere = models[0].placement.arena
    if elsewhere is not None and elsewhere != board.ram:
        if arena_bytes > elsewhere.size_bytes:
            said = (
                f"{several}the arenas do not fit the {elsewhere.name} of board {board.name} together: they need "
                f"{arena_bytes:,} bytes (arenas {arenas}), it has {elsewhere.size_bytes:,}"
            )
            misses.append(Miss(Resource.RAM, arena_bytes, elsewhere.size_bytes, said, shared))
    elif arena_bytes + board.stack_bytes > board.ram_bytes:
        said = (
            f"{several}they do not fit the RAM of board {board.name} together: they need "
            f"{arena_bytes + board.stack_bytes:,} bytes (arenas {arenas}; stack {board.stack_bytes:,}), it has "
            f"{board.ram_bytes:,}"
        )
        misses.append(Miss(Resource.RAM, arena_bytes + board.stack_bytes, board.ram_bytes, said, shared))
    needs = [flash_needed(model, size) for model, size in zip(models, sizes, strict=True)]
    for has, who in _flash_limits(board, budgets):
        if sum(needs) > has:
            each = ", ".join(f"{m.program.name} {n:,}" for m, n in zip(models, needs, strict=True))
            what = "they need" if all(sizes) else "their constants alone need"
            said = f"{several}{what} {sum(needs):,} bytes of flash together ({each}), {who} {has:,}"
            misses.append(Miss(Resource.FLASH, sum(needs), has, said, ""))
    return misses


def _flash_limits(board: Board, budgets: Budgets) -> list[tuple[int, str]]:
    """Bytes that there are, and who says so."""
    budget = budgets.flash
    return [
        *([(budget.most, f"{budget.said} allows")] if budget else []),
        (board.flash_bytes, f"board {board.name} has"),
    ]


def _fewer(inferences: int, board: Board) -> str:
    return "Embed fewer: --self-test 1." if inferences > 1 else hint(board)


def _deepest(program: Program, size: CodeSize | None) -> str:
    """The calls that take the most of the stack, and the layers that make them."""
    calls = size.deepest_calls if size else ()
    names = {re.split(r"[.$]", call)[0] for call in calls}  # without the compiler's marks of clones
    layers = [
        f"{layer.index} ({layer.op_name})"
        for layer in program.layers
        if layer.instance and layer.instance.function in names
    ]
    who = f", of the layers {', '.join(layers)}" if layers else ""
    return f"The deepest calls: {' → '.join(calls)}{who}."


def _most(layers: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(layers, key=lambda pair: (-pair[1], pair[0]))[:NAMED_LAYERS])


def _named(program: Program, layers: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{layer} ({program.layers[layer].op_name}, {size:,})" for layer, size in layers)
