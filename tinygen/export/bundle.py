"""What an export is made from: one or more compiled models for one board, with their self-tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.boards import Board
from tinygen.compile import Compiled
from tinygen.errors import UsageError
from tinygen.ledger import CodeSize


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """`selftests[i]` are the files NAME_selftest.h and NAME_selftest.c of model i, as `selftest_sources` makes them.

    Each runs `inferences` inputs. With `shared_arena` the models take turns in one arena of the largest one's size;
    otherwise each has its own. `sizes` are what a compiler made of each model; None or nothing where there was none.
    """

    models: tuple[Compiled, ...]
    selftests: tuple[Mapping[str, str], ...]
    shared_arena: bool = False
    inferences: int = 1
    sizes: tuple[CodeSize | None, ...] = ()

    @property
    def board(self) -> Board:
        """The board that all models were compiled for."""
        return self.models[0].board

    @property
    def names(self) -> tuple[str, ...]:
        """The C names of the models."""
        return tuple(model.program.name for model in self.models)

    @property
    def name(self) -> str:
        """What the project is called: its models' names joined."""
        return "_".join(self.names)

    @property
    def arena_bytes(self) -> int:
        """RAM for all arenas together."""
        sizes = [max(model.program.plan.arena_bytes, 1) for model in self.models]
        return max(sizes) if self.shared_arena else sum(sizes)


def check_names(bundle: Bundle) -> None:
    """Raise UsageError when files or macros of two models would have one name; case is ignored, as some disks do."""
    owners: dict[str, str] = {}
    for model, selftest in zip(bundle.models, bundle.selftests, strict=True):
        name = model.program.name
        for item in (name, *model.sources.files, *selftest):
            if item.lower() in owners:
                raise UsageError(
                    f"{model.model.label}: the models {owners[item.lower()]} and {name} would share the name {item}. "
                    "Give each model a C name of its own: one --name for each, in the order of the models."
                )
            owners[item.lower()] = name
