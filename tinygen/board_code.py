"""Which files of `firmware/` drive a board's console and cycle counter, and tinygen_board.h, which tells them of it."""

from __future__ import annotations

import re

from tinygen.boards import Board, Console, RegisterStep, UartFamily
from tinygen.errors import BoardError
from tinygen.targets import Architecture

FILE_NAME = "tinygen_board.h"
NO_COUNTER = ("cycles_none.c",)

# Values of BAUDRATE, from Nordic's product specifications: the UART of nRF51 and nRF52, and the UARTE.
NRF_UART_BAUDRATES = {
    9600: 0x0027_5000,
    19200: 0x004E_A000,
    38400: 0x009D_5000,
    57600: 0x00EB_F000,
    115200: 0x01D7_E000,
    230400: 0x03AF_B000,
    460800: 0x075F_7000,
    1_000_000: 0x1000_0000,
}
NRF_UARTE_BAUDRATES = {
    9600: 0x0027_5000,
    19200: 0x004E_A000,
    38400: 0x009D_0000,
    57600: 0x00EB_0000,
    115200: 0x01D6_0000,
    230400: 0x03B0_0000,
    460800: 0x0740_0000,
    1_000_000: 0x1000_0000,
}
_NRF = {UartFamily.NRF_UART: NRF_UART_BAUDRATES, UartFamily.NRF_UARTE: NRF_UARTE_BAUDRATES}
ESP_ROM_BAUD = 115200


def console_sources(uart: UartFamily) -> tuple[str, ...]:
    """The driver of a UART family and what it needs; their header is console.h."""
    return (f"console_{uart.value}.c", "console_setup.c")


def counter_sources(board: Board) -> tuple[str, ...]:
    """What finds the core's own counter of cycles; their header is cycles.h."""
    target = board.target
    if target.architecture is Architecture.XTENSA:
        return ("cycles_ccount.c",)
    if target.architecture is Architecture.RISCV32:
        return ("cycles_riscv.c", "cycles_riscv_csr.S")
    # Arm cores with the 32 x 32 -> 64 bit multiply are of the main line, which has the DWT
    return ("cycles_dwt.c",) if "mul" in target.features else NO_COUNTER


def board_header(board: Board) -> str:
    """The header's text; a `BoardError` when the console cannot be what the board file says."""
    console = board.console
    values = {
        "BASE": f"0x{console.base:08x}u",
        "CLOCK_HZ": f"{console.clock_hz}u",
        "BAUD": f"{console.baud}u",
        "LOW_POWER": "1" if console.low_power else "0",
        "STEPS": f"{len(console.setup)}",
    }
    if console.tx_pin is not None:
        values["TX_PIN"] = f"{console.tx_pin}u"
    if console.uart in _NRF:
        values["BAUDRATE"] = f"0x{_nrf_baudrate(board, console):08x}u"
    _check_divisor(board, console)
    lines = ["#ifndef TINYGEN_BOARD_H", "#define TINYGEN_BOARD_H", ""]
    lines += [f"#define TINYGEN_CONSOLE_{name} {value}" for name, value in values.items()]
    if console.setup:
        lines += ["", "/* address, bits to clear, bits to set, bits to wait for */", *_setup(console.setup)]
    early = [step for step in console.setup if step.before_ram]
    if early:
        lines += ["", "/* those of them that come before anything is written to RAM */"]
        lines += ["#define TINYGEN_BEFORE_RAM(step) \\", *(f"    step({_values(s)}); \\" for s in early), ""]
    return "\n".join([*lines, "", "#endif", ""])


def early_sources(board: Board) -> tuple[str, ...]:
    """What comes before anything is written to RAM, on boards that have such steps."""
    return ("before_ram.c",) if any(step.before_ram for step in board.console.setup) else ()


def _setup(steps: tuple[RegisterStep, ...]) -> list[str]:
    rows = [f"    {{{_values(step)}}}, /* {_comment(step.why)} */ \\" for step in steps]
    return ["#define TINYGEN_CONSOLE_SETUP { \\", *rows, "}"]


def _values(step: RegisterStep) -> str:
    return ", ".join(f"0x{value:08x}u" for value in (step.address, step.clear, step.set, step.wait_set))


def _comment(text: str) -> str:
    """Text of a user's board file that cannot end or continue the comment it stands in."""
    return re.sub(r"[^A-Za-z0-9 _.,:;=+()-]", "_", text, flags=re.ASCII)[:80]


def _nrf_baudrate(board: Board, console: Console) -> int:
    known = _NRF[console.uart]
    if console.baud not in known:
        raise BoardError(
            f"board {board.name}: console.baud is {console.baud}; its UART knows {', '.join(map(str, known))}."
        )
    return known[console.baud]


def _check_divisor(board: Board, console: Console) -> None:
    """The divisor of clock and baud rate must fit the UART's register."""
    if console.uart is UartFamily.ESP and console.baud != ESP_ROM_BAUD:
        raise BoardError(
            f"board {board.name}: console.baud is {console.baud}; the ESP32 family's boot ROM sets {ESP_ROM_BAUD}, "
            "which the self-test keeps."
        )
    limits = {  # the divisor's parts of a clock, its smallest and its largest value
        UartFamily.STM32_V1: (1, 16, 0xFFFF),
        UartFamily.STM32_V2: (256, 0x300, 0xF_FFFF) if console.low_power else (1, 16, 0xFFFF),
        UartFamily.PL011: (4, 64, 0xFFFF << 6),
        UartFamily.NS16550: (1 / 16, 1, 0xFFFF),
        UartFamily.CMSDK: (1, 16, 0xF_FFFF),
    }
    if console.uart not in limits:
        return
    parts, smallest, largest = limits[console.uart]
    divisor = round(parts * console.clock_hz / console.baud)
    if not smallest <= divisor <= largest:
        raise BoardError(
            f"board {board.name}: console.baud {console.baud} cannot be made from console.clock_hz "
            f"{console.clock_hz}: the divisor would be {divisor}, and it can be {smallest} to {largest}."
        )
