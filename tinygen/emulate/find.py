"""Chooses the emulator for a board."""

from __future__ import annotations

import importlib.metadata

from tinygen.boards import Board
from tinygen.emulate.base import Emulator
from tinygen.emulate.host import Host
from tinygen.emulate.qemu import INSTALL as INSTALL_QEMU
from tinygen.emulate.qemu import SYSTEMS, Qemu, qemu_path, qemu_version
from tinygen.emulate.unicorn import INSTALL as INSTALL_UNICORN
from tinygen.emulate.unicorn import Unicorn
from tinygen.errors import ToolError
from tinygen.toolchain import Tool

# In the order in which `auto` tries them; `host` runs no board's code, so it is never chosen by itself.
EMULATORS: tuple[Emulator, ...] = (Unicorn(), Qemu(), Host())


def find_emulator(board: Board, name: str = "auto") -> Emulator:
    """The emulator called `name`, or with `auto` the first that can run the board; `ToolError` says what is missing."""
    if name == "auto":
        reasons = []
        for emulator in EMULATORS[:-1]:
            reason = emulator.unsupported(board)
            if reason is None:
                return emulator
            reasons.append(reason)
        raise ToolError(f"emulator: none can run board {board.name} here. {' '.join(reasons)}")
    for emulator in EMULATORS:
        if emulator.name == name:
            reason = emulator.unsupported(board)
            if reason is not None:
                raise ToolError(f"emulator {name}: {reason}")
            return emulator
    raise ToolError(f"emulator {name!r} is unknown. Known: auto, {', '.join(e.name for e in EMULATORS)}.")


def survey() -> tuple[Tool, ...]:
    """Every emulator tinygen can use, found or not."""
    try:
        unicorn: str | None = importlib.metadata.version("unicorn")
    except importlib.metadata.PackageNotFoundError:
        unicorn = None
    rows = [Tool("unicorn", unicorn, "", "runs Cortex-M and RV32 boards, counts instructions", INSTALL_UNICORN)]
    for architecture, program in SYSTEMS.items():
        path = qemu_path(program)
        rows.append(
            Tool(
                name=program,
                version=qemu_version(path) if path else None,
                path=path or "",
                purpose=f"runs {architecture.value} machines",
                install=INSTALL_QEMU[architecture],
            )
        )
    return tuple(rows)
