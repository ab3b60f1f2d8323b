"""A board's TOML file as values, and what in it makes no sense."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from enum import Enum

import msgspec

from tinygen.targets import Architecture, Target

ADDRESS_END = 1 << 32
ARM_REGISTERS = (0xE000_0000, 0xE010_0000)
"""The private peripheral bus of every Cortex-M: NVIC, SysTick, SCB, MPU, DWT."""
RP2040_TARGET, RP2040_FLASH, RP2040_STACK_TOPS = "cortex-m0plus", 0x1000_0000, 0x4000

_NAME = r"[A-Za-z][A-Za-z0-9_]*"
_SETTING = rf"{_NAME}: (?:{_NAME}(?:\.{_NAME})*|-?[0-9][0-9_]*|0x[0-9A-Fa-f_]+|\"[^\"\\]*\")"


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


class Boot(Enum):
    """Boot ROMs that start nothing but a loader with a checksum, which the self-test then begins with."""

    RP2040 = "rp2040"


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
    renode_platform: str = ""  # the file that comes with Renode


class ProjectIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What other build systems call the board; empty where they do not know it."""

    platformio_platform: str = ""
    platformio_board: str = ""
    platformio_framework: str = ""
    platformio_flags: tuple[str, ...] = ()  # build flags that the board's file there lacks
    arduino_fqbn: str = ""
    esp_idf_target: str = ""
    zephyr_board: str = ""


class BoardFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    chip: str
    target: str
    clock_hz: int
    memories: tuple[Memory, ...]
    description: str = ""
    stack_bytes: int | None = None
    boot: Boot | None = None
    console: Console = msgspec.field(default_factory=lambda: Console(uart=UartFamily.SEMIHOSTING))
    emulation: Emulation = msgspec.field(default_factory=Emulation)
    project: ProjectIds = msgspec.field(default_factory=ProjectIds)


def find_problems(file: BoardFile, target: Target, stack_bytes: int) -> list[str]:
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
    if target.architecture is Architecture.ARM_M:
        begin, end = ARM_REGISTERS
        problems += [
            f"The memory {memory.name} reaches into the core's own registers, 0x{begin:08x} to 0x{end:08x}."
            for memory in file.memories
            if memory.origin < end and begin < memory.end
        ]
    for kind in (MemoryKind.FLASH, MemoryKind.RAM):
        if not any(memory.kind is kind for memory in file.memories):
            problems.append(f"No memory is of kind {kind.value!r}; a board needs at least one.")
    if not 1_000 <= file.clock_hz <= 10_000_000_000:
        problems.append(f"clock_hz is {file.clock_hz}; a clock of 1 kHz to 10 GHz is expected.")
    ram = next((memory for memory in file.memories if memory.kind is MemoryKind.RAM), None)
    if (ram and not 256 <= stack_bytes <= ram.size_bytes) or stack_bytes % 16:
        problems.append(f"stack_bytes is {stack_bytes}; it must be a multiple of 16, at least 256, and fit in RAM.")
    problems += _text_problems(file)
    problems += _boot_problems(file, target, stack_bytes)
    problems += _console_problems(file.console, file.memories, target)
    problems += _emulation_problems(file.emulation)
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


def _text_problems(file: BoardFile) -> list[str]:
    """Texts reach comments of generated files, where a line break would end the comment."""
    texts = [("title", file.title), ("chip", file.chip), ("description", file.description)]
    texts += [(f"console.setup[{index}].why", step.why) for index, step in enumerate(file.console.setup)]
    return [
        f"{key} is {text!r}; one line of text is expected."
        for key, text in texts
        if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text)
    ]


def _boot_problems(file: BoardFile, target: Target, stack_bytes: int) -> list[str]:
    """What the RP2040's ROM cannot start: see firmware/boot_rp2040.S."""
    if file.boot is None:
        return []
    problems = []
    if target.name != RP2040_TARGET:
        problems.append(f"boot is 'rp2040', whose cores are {RP2040_TARGET}; target is {target.name!r}.")
    flash = next((memory for memory in file.memories if memory.kind is MemoryKind.FLASH), None)
    if flash and flash.origin != RP2040_FLASH:
        problems.append(
            f"boot is 'rp2040', whose ROM starts what lies at 0x{RP2040_FLASH:08x}; the memory {flash.name} begins at "
            f"0x{flash.origin:08x}."
        )
    ram = next((memory for memory in file.memories if memory.kind is MemoryKind.RAM), None)
    if ram and (ram.origin + stack_bytes) % 0x1_0000 >= RP2040_STACK_TOPS:
        problems.append(
            f"stack_bytes is {stack_bytes}; with boot = 'rp2040' the stack, which begins the RAM, must end less than "
            f"0x{RP2040_STACK_TOPS:x} bytes behind a multiple of 64 KiB, because the ROM runs its end as instructions."
        )
    return problems


def _console_problems(console: Console, memories: Sequence[Memory], target: Target) -> list[str]:
    if console.uart is UartFamily.SEMIHOSTING:
        return []
    problems = []
    if not 0 < console.base < ADDRESS_END or console.base % 4:
        problems.append(f"console.base is {console.base:#x}; the UART's address is expected.")
    taken = [(memory.name, memory.origin, memory.end) for memory in memories]
    if target.architecture is Architecture.ARM_M:
        taken.append(("the core's own registers", *ARM_REGISTERS))
    problems += [
        f"console.base is {console.base:#x}, which lies in {name}; the UART's address is expected."
        for name, begin, end in taken
        if begin <= console.base < end
    ]
    if console.name and not re.fullmatch(_NAME, console.name):
        problems.append(f"console.name is {console.name!r}; a letter, then letters, digits and _ only, for Renode.")
    if not 100 <= console.baud <= 20_000_000:
        problems.append(f"console.baud is {console.baud}; 100 to 20000000 is expected.")
    # nRF dividers are fixed, the others are computed from the clock.
    fixed = (UartFamily.NRF_UART, UartFamily.NRF_UARTE)
    if console.uart not in fixed and console.clock_hz < console.baud:
        problems.append(f"console.clock_hz is {console.clock_hz}; the UART's input clock after reset is needed.")
    if console.uart in fixed and console.tx_pin is None:
        problems.append("console.tx_pin is missing; nRF chips route the UART to any pin.")
    if target.architecture is not Architecture.ARM_M and any(step.before_ram for step in console.setup):
        problems.append("console.setup: before_ram is for Cortex-M only.")
    return problems + [p for i, step in enumerate(console.setup) for p in _step_problems(i, step, memories)]


def _step_problems(index: int, step: RegisterStep, memories: Sequence[Memory]) -> list[str]:
    at = f"console.setup[{index}]"
    problems = []
    values = (step.address, step.clear, step.set, step.wait_set)
    if any(not 0 <= value < ADDRESS_END for value in values) or step.address % 4:
        problems.append(f"{at}: address and masks must be 32-bit, the address aligned.")
    writes = bool(step.clear or step.set)
    if writes and step.wait_set:
        problems.append(f"{at} both writes and waits; make it two steps.")
    if not writes and not step.wait_set:
        problems.append(f"{at} does nothing; give it clear and set, or wait_set.")
    problems += [
        f"{at}.address is 0x{step.address:08x}, which lies in {memory.name}; a register is expected."
        for memory in memories
        if memory.origin <= step.address < memory.end
    ]
    return problems


def _emulation_problems(emulation: Emulation) -> list[str]:
    problems = []
    if not re.fullmatch(r"[A-Za-z0-9_.+-]*", emulation.renode_cpu):
        problems.append(f"emulation.renode_cpu is {emulation.renode_cpu!r}; a cpuType such as cortex-m4 is expected.")
    if emulation.renode_uart and not re.fullmatch(rf"{_NAME}(?:\.{_NAME})+", emulation.renode_uart):
        problems.append(f"emulation.renode_uart is {emulation.renode_uart!r}; a model such as UART.PL011 is expected.")
    problems += [
        f"emulation.renode_uart_settings[{index}] is {setting!r}; `property: value` is expected, in one line."
        for index, setting in enumerate(emulation.renode_uart_settings)
        if not re.fullmatch(_SETTING, setting)
    ]
    if not re.fullmatch(r"(?:platforms/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.repl)?", emulation.renode_platform):
        problems.append(
            f"emulation.renode_platform is {emulation.renode_platform!r}; a file that comes with Renode, such as "
            "platforms/boards/stm32f4_discovery.repl, is expected."
        )
    return problems
