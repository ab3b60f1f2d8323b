"""Renode: a platform file made from the board, a script to watch the self-test, and a Robot test for CI."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import Enum

from tinygen.boards import Board, RegisterStep
from tinygen.emit.environment import environment
from tinygen.errors import BoardError
from tinygen.export.render import file_name
from tinygen.targets import Architecture

FOLDER = "renode"
VIRTUAL_SECONDS = 120
REAL_SECONDS = 600
MOST_MIPS = 4000
"""Renode keeps frequencies in 32 bits."""

UART_BYTES = {
    "UART.CMSDK_APB_UART": 0x1000,
    "UART.ESP32_UART": 0x100,
    "UART.NRF52840_UART": 0x1000,
    "UART.NS16550": 0x100,
    "UART.PL011": 0x1000,
    "UART.STM32F7_USART": 0x400,
    "UART.STM32_UART": 0x100,
}
"""What Renode 1.16.1's models take on the bus."""
OTHER_UART_BYTES = 0x100
WITHOUT_SIZE = ("UART.STM32_UART",)
"""Models whose size the platform file must give."""

NVIC, DWT = (0xE000_E000, 0xE000_F000), (0xE000_1000, 0xE000_2000)
CLINT_BYTES = 0x1_0000
CLINT_PLACES = range(0x0200_0000, 1 << 32, 0x1000_0000)
"""The self-test does not touch it, but Renode's core wants one: at the first of these places that is free."""

REGISTERS = "registers_"
RESERVED = frozenset(
    "using new as preinit init reset local true True false False none empty add "  # words of platform files
    "sysbus machine emulation cpu nvic dwt clint".split()  # names that are taken
)


class RenodePlatform(Enum):
    """Which platform file the scripts load.

    Renode's own load an SVD file from the network, so ours are the default; and in Renode 1.16.1 none of those that our
    boards name has the core's cycle counter, which the self-test looks for.
    """

    OWN = "own"
    STOCK = "stock"


@dataclass(frozen=True, slots=True)
class Span:
    """A peripheral's name and the addresses it answers, the end excluded."""

    name: str
    begin: int
    end: int

    @property
    def size_bytes(self) -> int:
        return self.end - self.begin

    def overlaps(self, begin: int, end: int) -> bool:
        return self.begin < end and begin < self.end


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """Registers without a model, kept as plain memory so that the console's set-up can write and read them."""

    span: Span
    whys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Uart:
    name: str
    at: str


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


def platform_name(board: Board) -> str:
    """The platform file's name; a user's board may be called anything."""
    return f"{file_name(board.name)}.repl"


def uart_name(board: Board) -> str:
    """What the platform file calls the console's UART."""
    name = board.console.name or "uart0"
    return f"{name}_uart" if name in RESERVED or name.startswith(REGISTERS) else name


def platform_text(board: Board) -> str:
    """The .repl: core, memories, console, and memory in place of the registers that the console's set-up writes."""
    if not board.runs_in_renode:
        raise BoardError(
            f"board {board.name}: its description has no renode_cpu, no renode_uart or no UART as console; add them "
            "under [emulation] and [console] to run it in Renode."
        )
    uart = _uart_span(board)
    memories = _memories(board)
    for low, high in itertools.pairwise(sorted((*memories, uart), key=lambda span: span.begin)):
        if low.end > high.begin:
            raise BoardError(
                f"board {board.name}: console.base is 0x{uart.begin:08x}, and Renode's {board.emulation.renode_uart} "
                f"takes 0x{uart.size_bytes:x} bytes from there: {low.name} reaches into {high.name}."
            )
    at = f"0x{uart.begin:08X}"
    values = {
        "board": board,
        "title": _comment(board.title),
        "architecture": board.target.architecture.value,
        "mips": _mips(board),
        "has_cycle_counter": _has_cycle_counter(board),
        "clint": _clint(board),
        "memories": memories,
        "uart": _Uart(
            uart.name, f"<{at}, +0x{uart.size_bytes:X}>" if board.emulation.renode_uart in WITHOUT_SIZE else at
        ),
        "registers": register_blocks(board),
    }
    return environment().get_template("renode/board.repl.j2").render(values).rstrip("\n") + "\n"


def renode_files(board: Board, expected: Expected, platform: RenodePlatform = RenodePlatform.OWN) -> dict[str, str]:
    """The folder `renode/`: platform, script and Robot test, by path in the project."""
    stock = board.emulation.renode_platform
    if platform is RenodePlatform.STOCK and not stock:
        raise BoardError(
            f"board {board.name}: its description names no platform file of Renode's own (renode_platform under "
            "[emulation]). Leave --renode-platform out to use tinygen's."
        )
    own = platform_name(board)
    is_own = platform is RenodePlatform.OWN
    values = {
        "board_name": file_name(board.name),
        "name": expected.name,
        "passes": expected.line,
        "inputs": expected.inputs,
        "elf": elf_name(expected.name),
        "platform": f"$ORIGIN/{own}" if is_own else f"@{stock}",
        "robot_platform": f'"${{CURDIR}}/{own}"' if is_own else f"@{stock}",
        "uart": _Uart(uart_name(board), ""),
        "commands": start_commands(board) if is_own else stock_commands(board),
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


def start_commands(board: Board) -> tuple[str, ...]:
    """The Monitor's commands between loading the firmware on our platform and its start.

    Registers that the set-up waits for are set. Renode takes the lowest address that is loaded for the vector table, so
    it is told where RAM lies below flash.
    """
    blocks = [block.span for block in register_blocks(board)]
    awaited: dict[int, int] = {}
    for step in board.console.setup:
        if step.wait_set and any(span.begin <= step.address < span.end for span in blocks):
            awaited[step.address] = awaited.get(step.address, 0) | step.wait_set
    commands = [f"sysbus WriteDoubleWord 0x{address:08X} 0x{bits:X}" for address, bits in awaited.items()]
    flash = board.flash.origin
    if board.target.architecture is Architecture.ARM_M and any(memory.origin < flash for memory in board.memories):
        commands.append(f"sysbus.cpu VectorTableOffset 0x{flash:X}")
    return tuple(commands)


def stock_commands(board: Board) -> tuple[str, ...]:
    """What Renode's own platform file of the board lacks: the cycle counter, and a core as fast as it counts."""
    mips = _mips(board)
    return (
        f"sysbus.cpu PerformanceInMips {mips}",
        f'machine LoadPlatformDescriptionFromString "dwt: Miscellaneous.DWT @ sysbus 0x{DWT[0]:08X} '
        f'{{ frequency: {mips}000000 }}"',
    )


def register_blocks(board: Board) -> tuple[RegisterBlock, ...]:
    """The set-up's registers, and no others, as blocks of memory in the order of addresses.

    A register that the UART or the core already answers has no block.
    """
    modelled = [_uart_span(board), *_core_spans(board)]
    steps = [s for s in board.console.setup if not any(m.overlaps(s.address, s.address + 4) for m in modelled)]
    blocks: list[list[RegisterStep]] = []
    for step in sorted(steps, key=lambda step: step.address):
        if blocks and step.address - blocks[-1][-1].address <= 4:
            blocks[-1].append(step)
        else:
            blocks.append([step])
    return tuple(
        RegisterBlock(
            Span(f"{REGISTERS}{block[0].address:08x}", block[0].address, block[-1].address + 4),
            tuple(dict.fromkeys(_comment(step.why) for step in block)),
        )
        for block in blocks
    )


def _uart_span(board: Board) -> Span:
    base = board.console.base
    return Span(uart_name(board), base, base + UART_BYTES.get(board.emulation.renode_uart, OTHER_UART_BYTES))


def _core_spans(board: Board) -> list[Span]:
    if board.target.architecture is not Architecture.ARM_M:
        return []
    return [Span("nvic", *NVIC), *([Span("dwt", *DWT)] if _has_cycle_counter(board) else [])]


def _mips(board: Board) -> int:
    """Instructions in a virtual microsecond: one a clock."""
    return min(max(board.clock_hz // 1_000_000, 1), MOST_MIPS)


def _has_cycle_counter(board: Board) -> bool:
    """Armv6-M has none; cores with a hardware divider have one."""
    return board.target.architecture is Architecture.ARM_M and "div" in board.target.features


def _clint(board: Board) -> int:
    """A place that neither memories nor console nor registers need."""
    taken = [_uart_span(board), *(Span(m.name, m.origin, m.end) for m in board.memories)]
    taken += [block.span for block in register_blocks(board)]
    return next(p for p in CLINT_PLACES if not any(span.overlaps(p, p + CLINT_BYTES) for span in taken))


def _memories(board: Board) -> list[Span]:
    """The board's memories under names that platform files allow and nothing else has."""
    taken = RESERVED | {uart_name(board)} | {block.span.name for block in register_blocks(board)}
    names: list[str] = []
    for memory in board.memories:
        name = memory.name
        while not name[0].isalpha() or name in taken or name in names:
            name = f"memory_{name.lstrip('_')}"
        names.append(name)
    return [Span(name, memory.origin, memory.end) for name, memory in zip(names, board.memories, strict=True)]


def _comment(text: str) -> str:
    """Text for a comment of a platform file, in which three quotes begin a string even there."""
    return text.replace("'''", "' ' '")
