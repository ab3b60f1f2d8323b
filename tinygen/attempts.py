"""Which --optimize a model is built with: the one that was asked for, or the first harder one that fits.

An option that misses the board's memories or a budget is no end: others are planned too, each for real, and the first
that keeps every limit is taken. What was tried is told. Where none fits, the first one's misses are the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tinygen import toolchain
from tinygen.boards import Board
from tinygen.budgets import NO_BUDGETS, Budgets, Resource
from tinygen.compile import Compiled, Options, compile_model
from tinygen.errors import DoesNotFitError, ToolError
from tinygen.fit import Miss, explain, find_misses, flash_needed, hint, instructions_miss
from tinygen.kernels import Optimize
from tinygen.ledger import CodeSize
from tinygen.tflite import ModelFile
from tinygen.toolchain.elf import INSTALL
from tinygen.validate.profile import count_instructions, profile

MOST_CODE_BYTES = 128 * 1024
"""More than the code of any model here: so much flash to spare need not be measured."""

HARDER: Mapping[Resource, tuple[Optimize, ...]] = {
    Resource.RAM: (Optimize.BALANCED, Optimize.RAM, Optimize.FLASH),
    Resource.FLASH: (Optimize.BALANCED, Optimize.FLASH, Optimize.RAM),
    Resource.STACK: (Optimize.BALANCED, Optimize.RAM, Optimize.FLASH),
    Resource.INSTRUCTIONS: (Optimize.BALANCED, Optimize.SPEED),
}
"""What to try where a resource does not suffice, the mildest first."""


class Measure(Enum):
    """When to have a compiler tell the size of the code: always, or only where a limit may hang on it."""

    ALWAYS = "always"
    WHERE_IT_DECIDES = "where it decides"


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One option, what came of it, and which limits it misses; None: not known, or not looked at for it misses others.

    `flash_bytes` without `sizes` is of weights alone.
    """

    optimize: Optimize
    models: tuple[Compiled, ...]
    sizes: tuple[CodeSize | None, ...]
    arena_bytes: int
    flash_bytes: int
    stack_bytes: int | None
    instructions: int | None
    misses: tuple[Miss, ...]

    @property
    def fits(self) -> bool:
        return not self.misses


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """All that was tried, in order; the last one is taken where it fits, else the first one is the answer."""

    attempts: tuple[Attempt, ...]

    @property
    def taken(self) -> Attempt:
        return self.attempts[-1] if self.attempts[-1].fits else self.attempts[0]

    @property
    def compiled(self) -> Compiled:
        """The only model."""
        (model,) = self.taken.models
        return model

    @property
    def why(self) -> str | None:
        """`balanced → ram: the arena needs 12,384 bytes, --max-ram allows 11,000`; None where the first was taken."""
        first = self.attempts[0]
        if self.taken is first:
            return None
        return f"{first.optimize.value} → {self.taken.optimize.value}: {'; '.join(miss.said for miss in first.misses)}"

    @property
    def problem(self) -> str | None:
        """Why nothing fits: what the option that was asked for misses, and what the others would need."""
        first = self.attempts[0]
        if self.taken.fits:
            return None
        place = f"{first.models[0].model.label}: " if len(first.models) == 1 else ""
        others = "; ".join(_needs(attempt) for attempt in self.attempts[1:])
        tried = f"No other --optimize fits either: {others}. " if others else ""
        return f"{place}{explain(first.misses)} {tried}{hint(first.models[0].board)}"

    def check(self, *ignored: Resource) -> None:
        """Raise DoesNotFitError when nothing fits, unless all that the first attempt misses is ignored."""
        if self.problem and any(miss.resource not in ignored for miss in self.taken.misses):
            raise DoesNotFitError(self.problem)


def choose(
    models: Sequence[tuple[ModelFile, Options]],
    board: Board,
    budgets: Budgets = NO_BUDGETS,
    *,
    arena: Callable[[Iterable[int]], int] = sum,
    measure: Measure = Measure.WHERE_IT_DECIDES,
    emulator: str = "auto",
) -> Choice:
    """Compile models for one firmware, with the first of some options that keeps every limit.

    All take the same option, the first model's at first. `arena` makes the arenas' bytes one figure: sum, or max where
    they share one. `emulator` counts instructions where there is a budget of them. Raises ToolError where a budget
    cannot be checked for want of a tool.
    """
    asked = models[0][1].optimize
    attempts: list[Attempt] = []
    waiting = [asked]
    while waiting:
        attempt = _attempt(models, waiting.pop(0), board, budgets, arena, measure, emulator)
        attempts.append(attempt)
        if attempt.fits:
            break
        harder = [optimize for miss in attempt.misses for optimize in HARDER[miss.resource]]
        known = {*waiting, *(other.optimize for other in attempts)}
        waiting += [optimize for optimize in dict.fromkeys(harder) if optimize not in known]
    return Choice(tuple(attempts))


def _attempt(
    models: Sequence[tuple[ModelFile, Options]],
    optimize: Optimize,
    board: Board,
    budgets: Budgets,
    arena: Callable[[Iterable[int]], int],
    measure: Measure,
    emulator: str,
) -> Attempt:
    compiled = tuple(compile_model(model, board, replace(options, optimize=optimize)) for model, options in models)
    arena_bytes = arena(model.program.plan.arena_bytes for model in compiled)
    sizes: tuple[CodeSize | None, ...] = (None,) * len(compiled)
    misses = find_misses(compiled, sizes, arena_bytes, budgets)
    if not misses and (measure is Measure.ALWAYS or _code_decides(compiled, board, budgets)):
        sizes = tuple(map(measure_code, compiled))
        _check_measured(board, budgets, sizes)
        misses = find_misses(compiled, sizes, arena_bytes, budgets)
    instructions = None
    if not misses and budgets.instructions:
        counts = [count_instructions(model, emulator=emulator) for model in compiled]
        instructions = max(counts)
        misses = tuple(
            instructions_miss(budgets.instructions, count, _layers(model, emulator))
            for model, count in zip(compiled, counts, strict=True)
            if count > budgets.instructions.most
        )
    stacks = [size.stack_bytes for size in sizes if size is not None and size.stack_bytes is not None]
    return Attempt(
        optimize=optimize,
        models=compiled,
        sizes=sizes,
        arena_bytes=arena_bytes,
        flash_bytes=sum(flash_needed(model, size) for model, size in zip(compiled, sizes, strict=True)),
        stack_bytes=max(stacks, default=None),
        instructions=instructions,
        misses=misses,
    )


def measure_code(compiled: Compiled) -> CodeSize | None:
    """Sizes by the compiler, or None where there is none, or nothing to read what it makes."""
    if toolchain.elf_reader_version() is None:
        return None
    try:
        found = toolchain.find_toolchain(compiled.board.target)
    except ToolError:
        return None
    sources = compiled.sources
    return toolchain.measure(sources.files, sources.name, compiled.board.target, found)


def _code_decides(models: Sequence[Compiled], board: Board, budgets: Budgets) -> bool:
    """Whether the size of the code may decide, which takes a second or two to measure."""
    weights = sum(model.program.weights_bytes for model in models)
    most_code = len(models) * MOST_CODE_BYTES
    return bool(budgets.flash or budgets.stack) or weights + most_code > board.flash_bytes


def _check_measured(board: Board, budgets: Budgets, sizes: Sequence[CodeSize | None]) -> None:
    """Raise ToolError when a budget cannot be checked, because nothing here tells the size of code or stack."""
    unknown = [budgets.flash.said] if budgets.flash and None in sizes else []
    if budgets.stack and any(size is None or size.stack_bytes is None for size in sizes):
        unknown.append(budgets.stack.said)
    if not unknown:
        return
    try:
        toolchain.find_toolchain(board.target)
        if toolchain.elf_reader_version() is None:
            reason = f"pyelftools, which measures it, is not installed: {INSTALL}; see `tinygen doctor`."
        else:
            reason = "the calls in it cannot all be known."
    except ToolError as error:
        reason = str(error)
    raise ToolError(
        f"{' and '.join(unknown)} cannot be checked: it is of weights and code, or of the code's stack, and nothing "
        f"here tells them. {reason} Nothing was written."
    )


def _layers(model: Compiled, emulator: str) -> list[tuple[str, int | None]]:
    """Each layer's name and instructions."""
    layers = model.program.layers
    counted = profile(model, emulator=emulator).layers
    return [(f"{layer.index} ({layer.op_name}", cost.instructions) for layer, cost in zip(layers, counted, strict=True)]


def _needs(attempt: Attempt) -> str:
    """What an option would need, as far as it was looked at."""
    parts = [f"{attempt.arena_bytes:,} bytes of arena"]
    if None not in attempt.sizes or any(miss.resource is Resource.FLASH for miss in attempt.misses):
        parts.append(f"{attempt.flash_bytes:,} of flash")
    if any(miss.resource is Resource.STACK for miss in attempt.misses):
        parts.append(f"{attempt.stack_bytes:,} of stack")
    if attempt.instructions is not None:
        parts.append(f"{attempt.instructions:,} instructions")
    return f"{attempt.optimize.value} needs {', '.join(parts)}"
