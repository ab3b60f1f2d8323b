"""Renode: a platform file made from the board, a script to watch the self-test, and a Robot test for CI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tinygen.boards import Board, RegisterStep, UartFamily
from tinygen.emit.environment import environment
from tinygen.errors import BoardError

FOLDER = "renode"
VIRTUAL_SECONDS = 120
REAL_SECONDS = 600
GAP_BYTES = 0x100
"""Registers nearer to each other than this lie in one block."""

ADDRESS_RANGES = {"UART.STM32_UART": 0x100}
"""Models of a size that the platform file must give."""

STOCK = {
    "nano33": "platforms/boards/arduino_nano_33_ble.repl",
    "stm32f4-discovery": "platforms/boards/stm32f4_discovery.repl",
    "stm32f746-discovery": "platforms/boards/stm32f7_discovery-bb.repl",
    "nucleo-h743zi": "platforms/boards/nucleo_h753zi.repl",
}
"""Renode's own platform files of our boards; they load an SVD file from the network, so ours are the default."""


class RenodePlatform(Enum):
    """Which platform file the scripts load."""

    OWN = "own"
    STOCK = "stock"


@dataclass(frozen=True, slots=True)
class _Uart:
    name: str
    at: str


@dataclass(frozen=True, slots=True)
class _Block:
    """Registers without a model, kept as plain memory so that the console's set-up can write and read them."""

    name: str
    origin: int
    size_bytes: int
    whys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the self-test's last line says when it passes."""

    name: str
    inputs: int
    layers: int

    @property
    def line(self) -> str:
        return f"TINYGEN PASS {self.name} inputs={self.inputs} layers={self.layers}"


def elf_name(name: str) -> str:
    """The self-test's firmware, beside the scripts."""
    return f"{name}.elf"


def supports(board: Board) -> bool:
    """Whether Renode has a core and a console for the board."""
    emulation = board.emulation
    return bool(emulation.renode_cpu and emulation.renode_uart) and board.console.uart is not UartFamily.SEMIHOSTING


def platform_text(board: Board) -> str:
    """The .repl: core, memories, console, and memory in place of the registers that the console's set-up writes."""
    if not supports(board):
        raise BoardError(
            f"board {board.name}: its description has no renode_cpu, no renode_uart or no UART as console; add them "
            "under [emulation] and [console] to run it in Renode."
        )
    values = {
        "board": board,
        "architecture": board.target.architecture.value,
        "mips": max(board.clock_hz // 1_000_000, 1),
        # Armv6-M has no cycle counter; cores with a hardware divider have one
        "has_cycle_counter": "div" in board.target.features,
        "uart": _uart(board),
        "registers": register_blocks(board.console.setup),
    }
    return environment().get_template("renode/board.repl.j2").render(values).rstrip("\n") + "\n"


def renode_files(board: Board, expected: Expected, platform: RenodePlatform = RenodePlatform.OWN) -> dict[str, str]:
    """The folder `renode/`: platform, script and Robot test, by path in the project."""
    if platform is RenodePlatform.STOCK and board.name not in STOCK:
        raise BoardError(
            f"board {board.name}: Renode has no platform file of its own for it. Known: {', '.join(STOCK)}. "
            "Leave --renode-platform out to use tinygen's."
        )
    own = f"{board.name}.repl"
    is_own = platform is RenodePlatform.OWN
    values = {
        "board": board,
        "name": expected.name,
        "inputs": expected.inputs,
        "layers": expected.layers,
        "elf": elf_name(expected.name),
        "platform": f"$ORIGIN/{own}" if is_own else f"@{STOCK[board.name]}",
        "robot_platform": f'"${{CURDIR}}/{own}"' if is_own else f"@{STOCK[board.name]}",
        "uart": _uart(board),
        "preset": [step for step in board.console.setup if step.wait_set] if is_own else [],
        "virtual_seconds": VIRTUAL_SECONDS,
        "real_seconds": REAL_SECONDS,
    }

    def render(template: str) -> str:
        return environment().get_template(f"renode/{template}").render(values)

    files = {
        f"{FOLDER}/{expected.name}.resc": render("model.resc.j2"),
        f"{FOLDER}/{expected.name}.robot": render("model.robot.j2"),
    }
    return {f"{FOLDER}/{own}": platform_text(board), **files} if is_own else files


def register_blocks(steps: Sequence[RegisterStep]) -> tuple[_Block, ...]:
    """The set-up's registers as blocks of memory: neighbours together, in the order of addresses."""
    blocks: list[list[RegisterStep]] = []
    for step in sorted(steps, key=lambda step: step.address):
        if blocks and step.address - blocks[-1][-1].address < GAP_BYTES:
            blocks[-1].append(step)
        else:
            blocks.append([step])
    return tuple(
        _Block(
            name=f"registers_{block[0].address:08x}",
            origin=block[0].address,
            size_bytes=block[-1].address + 4 - block[0].address,
            whys=tuple(dict.fromkeys(step.why for step in block)),
        )
        for block in blocks
    )


def _uart(board: Board) -> _Uart:
    model, base = board.emulation.renode_uart, f"0x{board.console.base:08X}"
    size = ADDRESS_RANGES.get(model)
    return _Uart(board.console.name or "uart0", base if size is None else f"<{base}, +0x{size:X}>")
