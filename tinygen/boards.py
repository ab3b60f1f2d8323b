"""Boards as data: TOML in, a checked and frozen `Board` out."""

from __future__ import annotations

import difflib
import itertools
import re
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from tinygen.errors import BoardError
from tinygen.resources import resource_path
from tinygen.targets import Architecture, Target, find_target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ADDRESS_END = 1 << 32
DEFAULT_STACK_BYTES = 8192
SMALL_RAM_BYTES = 32 * 1024
SMALL_RAM_STACK_BYTES = 2048


class MemoryKind(Enum):
    """What a memory is for: the first flash holds code, the first ram holds stack and arena."""

    FLASH = "flash"
    RAM = "ram"
    CONSTANTS = "constants"  # the flash once more, as the data bus sees it (ESP32 family)
    INSTRUCTION_RAM = "instruction_ram"  # where vectors must lie on chips with two buses


class UartFamily(Enum):
    """The closed list of console drivers; the emulators' own boards may have semihosting only."""

    NRF_UARTE = "nrf_uarte"
    NRF_UART = "nrf_uart"
    STM32_V1 = "stm32_v1"
    STM32_V2 = "stm32_v2"
    PL011 = "pl011"
    ESP = "esp"
    NS16550 = "ns16550"
    CMSDK = "cmsdk"
    SEMIHOSTING = "semihosting"


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One memory or window of the chip, in bytes and absolute addresses."""

    name: str
    kind: MemoryKind
    origin: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The first address behind the memory."""
        return self.origin + self.size_bytes


class RegisterStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the console's set-up: `*address = (*address & ~clear) | set`, or wait for `wait_set`."""

    address: int
    why: str
    clear: int = 0
    set: int = 0
    wait_set: int = 0
    before_ram: bool = False  # Cortex-M: taken at reset too, before anything is written to RAM


class Console(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The UART that prints: driver family, base address, its input clock after reset, pins and clock gates."""

    uart: UartFamily
    name: str = ""
    base: int = 0
    clock_hz: int = 0
    tx_pin: int | None = None  # nRF and RP2040: the pin's number in the chip
    rx_pin: int | None = None
    baud: int = 115200
    low_power: bool = False  # STM32 LPUART: the divider counts 1/256 clocks
    setup: tuple[RegisterStep, ...] = ()


class Emulation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How emulators run the board; an empty string means that this emulator has no such machine."""

    unicorn: bool = False
    qemu_machine: str = ""
    renode_cpu: str = ""
    renode_uart: str = ""
    renode_uart_settings: tuple[str, ...] = ()


class ProjectIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What other build systems call the board; empty where they do not know it."""

    platformio_platform: str = ""
    platformio_board: str = ""
    platformio_framework: str = ""
    platformio_flags: tuple[str, ...] = ()  # build flags that the board's file there lacks
    arduino_fqbn: str = ""
    esp_idf_target: str = ""
    zephyr_board: str = ""


class _BoardFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    chip: str
    target: str
    clock_hz: int
    memories: tuple[Memory, ...]
    description: str = ""
    stack_bytes: int | None = None
    console: Console = msgspec.field(default_factory=lambda: Console(uart=UartFamily.SEMIHOSTING))
    emulation: Emulation = msgspec.field(default_factory=Emulation)
    project: ProjectIds = msgspec.field(default_factory=ProjectIds)


@dataclass(frozen=True, slots=True)
class Board:
    """A microcontroller board: target, clock, memories, console, and how tools call and run it."""

    name: str
    title: str
    description: str
    chip: str
    target: Target
    clock_hz: int
    memories: tuple[Memory, ...]
    stack_bytes: int  # what the self-test firmware reserves
    console: Console
    emulation: Emulation
    project: ProjectIds

    @property
    def flash(self) -> Memory:
        """The memory that holds code."""
        return self._first(MemoryKind.FLASH)

    @property
    def ram(self) -> Memory:
        """The memory that holds stack and arena."""
        return self._first(MemoryKind.RAM)

    @property
    def flash_bytes(self) -> int:
        """Bytes of flash for code and weights."""
        return self.flash.size_bytes

    @property
    def ram_bytes(self) -> int:
        """Bytes of the RAM that the arena can use: one contiguous memory."""
        return self.ram.size_bytes

    def window(self, kind: MemoryKind) -> Memory | None:
        """The first memory of a kind, if the board has one."""
        return next((memory for memory in self.memories if memory.kind is kind), None)

    def _first(self, kind: MemoryKind) -> Memory:
        memory = self.window(kind)
        assert memory is not None, kind  # load_board refuses boards without
        return memory


def board_names() -> tuple[str, ...]:
    """The names of the boards that come with tinygen, sorted."""
    return tuple(sorted(path.stem for path in resource_path("boards").glob("*.toml")))


def load_board(name_or_path: str) -> Board:
    """The board of that name, or of the user's own TOML file when the argument is a path (`./mine.toml`)."""
    path = Path(name_or_path)
    if path.suffix == ".toml" or len(path.parts) > 1:
        if not _is_file(path):
            raise BoardError(
                f"{name_or_path}: there is no such board file. Give a name from `tinygen boards` "
                "or the path of a TOML file."
            )
        return _parse(path.stem, path, str(path))
    if name_or_path in board_names():
        path = resource_path("boards") / f"{name_or_path}.toml"
        return _parse(name_or_path, path, f"boards/{path.name}")
    near = difflib.get_close_matches(name_or_path.lower(), board_names(), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise BoardError(
        f"board {name_or_path!r} is unknown. {hint}Known boards: {', '.join(board_names())}. "
        "Your own board is a TOML file: --board ./mine.toml."
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return False


def _parse(name: str, path: Path, place: str) -> Board:
    try:
        raw = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BoardError(f"{place}: the file is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{place}: the file is not TOML: {error}.") from error
    except (OSError, RecursionError) as error:
        raise BoardError(f"{place}: the file cannot be read: {error}.") from error
    try:
        file = msgspec.convert(raw, _BoardFile)
    except msgspec.ValidationError as error:
        raise BoardError(f"{place}: {_explain(str(error), raw)}") from error
    try:
        target = find_target(file.target)
    except BoardError as error:
        raise BoardError(f"{place}: {error}") from error
    ram = next((m for m in file.memories if m.kind is MemoryKind.RAM), None)
    default = SMALL_RAM_STACK_BYTES if ram and ram.size_bytes <= SMALL_RAM_BYTES else DEFAULT_STACK_BYTES
    stack_bytes = default if file.stack_bytes is None else file.stack_bytes
    problems = _problems(file, target, stack_bytes)
    if problems:
        raise BoardError(f"{place}: {' '.join(problems)}")
    return Board(
        name=name,
        title=file.title,
        description=file.description,
        chip=file.chip,
        target=target,
        clock_hz=file.clock_hz,
        memories=file.memories,
        stack_bytes=stack_bytes,
        console=file.console,
        emulation=file.emulation,
        project=file.project,
    )


_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "": _BoardFile,
    "memories": Memory,
    "console": Console,
    "setup": RegisterStep,
    "emulation": Emulation,
    "project": ProjectIds,
}
_ENUMS: tuple[type[Enum], ...] = (MemoryKind, UartFamily)


def _explain(message: str, raw: dict[str, Any]) -> str:
    """Turns msgspec's message into: key path, sentence, what to do."""
    text, _, at = message.partition(" - at `")
    key = at.rstrip("`").removeprefix("$").removeprefix(".")
    table = re.sub(r"\[\d+\]", "", key).rpartition(".")[2]
    unknown = re.search(r"contains unknown field `(.*)`", text)
    missing = re.search(r"missing required field `(.*)`", text)
    if unknown or missing:
        fields = _STRUCTS.get(table, _BoardFile).__struct_fields__
        where = f"{key}." if key else ""
        if missing:
            return f"the key {where}{missing[1]} is missing. Add it; see boards/nano33.toml for an example."
        assert unknown
        near = difflib.get_close_matches(unknown[1], fields, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known keys here: {', '.join(fields)}."
        return f"the key {where}{unknown[1]} is unknown. {hint}"
    for enum in _ENUMS:
        field = {"MemoryKind": "kind", "UartFamily": "uart"}[enum.__name__]
        if "enum value" in text and table == field:
            return f"{key}: {text}. Known: {', '.join(str(member.value) for member in enum)}."
    return f"{key or 'the file'}: {text}."


def _problems(file: _BoardFile, target: Target, stack_bytes: int) -> list[str]:
    """Every value that makes no sense, all at once, as sentences."""
    problems = [p for index, memory in enumerate(file.memories) for p in _memory_problems(index, memory)]
    names = [memory.name for memory in file.memories]
    problems += [f"Two memories are called {name!r}." for name in sorted({n for n in names if names.count(n) > 1})]
    ordered = sorted(file.memories, key=lambda memory: memory.origin)
    for low, high in itertools.pairwise(ordered):
        if low.end > high.origin:
            problems.append(
                f"The memories {low.name} (0x{low.origin:08x} to 0x{low.end:08x}) and {high.name} "
                f"(0x{high.origin:08x} to 0x{high.end:08x}) overlap."
            )
    for kind in (MemoryKind.FLASH, MemoryKind.RAM):
        if not any(memory.kind is kind for memory in file.memories):
            problems.append(f"No memory is of kind {kind.value!r}; a board needs at least one.")
    if not 1_000 <= file.clock_hz <= 10_000_000_000:
        problems.append(f"clock_hz is {file.clock_hz}; a clock of 1 kHz to 10 GHz is expected.")
    ram = next((memory for memory in file.memories if memory.kind is MemoryKind.RAM), None)
    if (ram and not 256 <= stack_bytes <= ram.size_bytes) or stack_bytes % 16:
        problems.append(f"stack_bytes is {stack_bytes}; it must be a multiple of 16, at least 256, and fit in RAM.")
    problems += _console_problems(file.console)
    if target.architecture is not Architecture.ARM_M and any(step.before_ram for step in file.console.setup):
        problems.append("console.setup: before_ram is for Cortex-M only.")
    if file.emulation.unicorn and not target.unicorn_cpu:
        problems.append(f"emulation.unicorn is true, but Unicorn has no model of {target.name}.")
    if target.architecture is Architecture.XTENSA and not any(
        memory.kind is MemoryKind.INSTRUCTION_RAM for memory in file.memories
    ):
        problems.append("An Xtensa board needs a memory of kind 'instruction_ram' for its exception vectors.")
    return problems


def _memory_problems(index: int, memory: Memory) -> list[str]:
    at = f"memories[{index}]"
    problems = []
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", memory.name):
        problems.append(f"{at}.name is {memory.name!r}; letters, digits and _ only, for the linker script.")
    if memory.size_bytes <= 0:
        problems.append(f"{at}.size_bytes is {memory.size_bytes}; a memory has at least one byte.")
    if memory.origin < 0 or memory.end > ADDRESS_END:
        problems.append(f"{at} reaches from {memory.origin:#x} to {memory.end:#x}, outside 32-bit addresses.")
    if memory.origin % 16:
        problems.append(f"{at}.origin is 0x{memory.origin:x}; it must be a multiple of 16.")
    return problems


def _console_problems(console: Console) -> list[str]:
    if console.uart is UartFamily.SEMIHOSTING:
        return []
    problems = []
    if not 0 < console.base < ADDRESS_END or console.base % 4:
        problems.append(f"console.base is {console.base:#x}; the UART's address is expected.")
    if not 100 <= console.baud <= 20_000_000:
        problems.append(f"console.baud is {console.baud}; 100 to 20000000 is expected.")
    # nRF dividers are fixed, the others are computed from the clock.
    fixed = (UartFamily.NRF_UART, UartFamily.NRF_UARTE)
    if console.uart not in fixed and console.clock_hz < console.baud:
        problems.append(f"console.clock_hz is {console.clock_hz}; the UART's input clock after reset is needed.")
    if console.uart in fixed and console.tx_pin is None:
        problems.append("console.tx_pin is missing; nRF chips route the UART to any pin.")
    for index, step in enumerate(console.setup):
        values = (step.address, step.clear, step.set, step.wait_set)
        if any(not 0 <= value < ADDRESS_END for value in values) or step.address % 4:
            problems.append(f"console.setup[{index}]: address and masks must be 32-bit, the address aligned.")
        if step.wait_set and (step.clear or step.set):
            problems.append(f"console.setup[{index}]: it both writes and waits; make it two steps.")
    return problems
