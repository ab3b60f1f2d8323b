"""Budgets: the most that a model may take of RAM, flash, stack and instructions, and who said so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

KIBI = {"k": 1 << 10, "m": 1 << 20}


class Resource(Enum):
    """What a budget is of; the value is the budget's key in tinygen.toml and, with dashes, its option."""

    RAM = "max_ram"  # bytes of the arena
    FLASH = "max_flash"  # bytes of weights and code
    STACK = "max_stack"  # bytes of stack of one inference, the compiler's worst case
    INSTRUCTIONS = "max_instructions"  # of one inference, counted in emulation

    @property
    def option(self) -> str:
        """The command line's word, such as --max-ram."""
        return "--" + self.value.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Budget:
    """The most of one resource. `said` is where that stands: `--max-ram`, or `max_ram in tinygen.toml`."""

    most: int
    said: str


@dataclass(frozen=True, slots=True)
class Budgets:
    """All budgets of a build; None: none but what the board itself has."""

    ram: Budget | None = None
    flash: Budget | None = None
    stack: Budget | None = None
    instructions: Budget | None = None

    def of(self, resource: Resource) -> Budget | None:
        """The budget of one resource."""
        by_resource = {
            Resource.RAM: self.ram,
            Resource.FLASH: self.flash,
            Resource.STACK: self.stack,
            Resource.INSTRUCTIONS: self.instructions,
        }
        return by_resource[resource]


NO_BUDGETS = Budgets()


def parse_bytes(text: str) -> int:
    """Bytes, with K or M for multiples of 1024: `65536` or `64K`. Raises ValueError."""
    scale = KIBI.get(text[-1:].lower(), 1)
    return parse_count(text[:-1] if scale > 1 else text) * scale


def parse_count(text: str) -> int:
    """A whole number from 0 on, perhaps with _ between its digits: `3_000_000`. Raises ValueError."""
    if not text.isascii() or not text.replace("_", "").isdecimal():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)
