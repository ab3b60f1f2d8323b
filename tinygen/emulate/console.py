"""Models of UARTs for Unicorn, one a family: a byte gets out only when the registers are as a real chip needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from tinygen.boards import Board, RegisterStep, UartFamily

PAGE_BYTES = 4096
ReadMemory = Callable[[int, int], bytes]


class RegisterError(Exception):
    """The firmware touched a register that the board's console does not have."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write to a register: where, what, in how many bytes."""

    address: int
    value: int
    size_bytes: int


class Uart:
    """Registers that keep what is written; families add what happens then."""

    NAMES: ClassVar[dict[int, str]] = {}  # offset: the reference manual's name
    SIZE_BYTES: ClassVar[int] = 4

    def __init__(self, read_memory: ReadMemory) -> None:
        self.values = dict.fromkeys(self.NAMES, 0)
        self.sent = bytearray()
        self.read_memory = read_memory

    def read(self, offset: int) -> int:
        """What the firmware reads."""
        return self.values[offset]

    def write(self, offset: int, value: int) -> None:
        """What the firmware writes."""
        self.values[offset] = value

    def send(self, value: int) -> None:
        """A byte enters the transmitter."""
        self.sent.append(value & 0xFF)


class NrfUarte(Uart):
    """nRF52 UARTE: the line is fetched from RAM."""

    NAMES: ClassVar[dict[int, str]] = {
        0x008: "TASKS_STARTTX",
        0x120: "EVENTS_ENDTX",
        0x500: "ENABLE",
        0x50C: "PSEL.TXD",
        0x524: "BAUDRATE",
        0x544: "TXD.PTR",
        0x548: "TXD.MAXCNT",
        0x56C: "CONFIG",
    }

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        on = self.values[0x500] == 8 and self.values[0x524] and not self.values[0x50C] >> 31
        if offset == 0x008 and value == 1 and on:
            self.sent += self.read_memory(self.values[0x544], self.values[0x548])
            self.values[0x120] = 1


class NrfUart(Uart):
    """nRF51 UART."""

    NAMES: ClassVar[dict[int, str]] = {
        0x008: "TASKS_STARTTX",
        0x11C: "EVENTS_TXDRDY",
        0x500: "ENABLE",
        0x50C: "PSELTXD",
        0x51C: "TXD",
        0x524: "BAUDRATE",
        0x56C: "CONFIG",
    }

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == 0x51C and self.values[0x500] == 4 and self.values[0x008] == 1 and self.values[0x524]:
            self.send(value)
            self.values[0x11C] = 1


class Stm32V1(Uart):
    """STM32 USART with SR and DR."""

    NAMES: ClassVar[dict[int, str]] = {
        0x00: "USART_SR",
        0x04: "USART_DR",
        0x08: "USART_BRR",
        0x0C: "USART_CR1",
    }

    def read(self, offset: int) -> int:
        return 0xC0 if offset == 0x00 else super().read(offset)  # TXE and TC: their reset values

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == 0x04 and self.values[0x0C] & 0x2008 == 0x2008 and self.values[0x08]:
            self.send(value)


class Stm32V2(Uart):
    """STM32 USART and LPUART with ISR and TDR."""

    NAMES: ClassVar[dict[int, str]] = {
        0x00: "USART_CR1",
        0x0C: "USART_BRR",
        0x1C: "USART_ISR",
        0x28: "USART_TDR",
    }

    def _on(self) -> bool:
        return self.values[0x00] & 9 == 9 and self.values[0x0C] != 0

    def read(self, offset: int) -> int:
        if offset == 0x1C:
            return 0xC0 | (1 << 21 if self._on() else 0)  # TXE, TC, TEACK
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x0C and self.values[0x00] & 1:
            return  # BRR is locked while UE is 1
        super().write(offset, value)
        if offset == 0x28 and self._on():
            self.send(value)


class Pl011(Uart):
    """Arm PL011."""

    NAMES: ClassVar[dict[int, str]] = {
        0x00: "UARTDR",
        0x18: "UARTFR",
        0x24: "UARTIBRD",
        0x28: "UARTFBRD",
        0x2C: "UARTLCR_H",
        0x30: "UARTCR",
    }

    def read(self, offset: int) -> int:
        return 0x90 if offset == 0x18 else super().read(offset)  # TXFE, RXFE

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == 0x00 and self.values[0x30] & 0x101 == 0x101 and self.values[0x24] and self.values[0x2C] & 0x60:
            self.send(value)


class Esp(Uart):
    """UART of the ESP32 family, as the boot ROM leaves it."""

    NAMES: ClassVar[dict[int, str]] = {
        0x00: "UART_FIFO",
        0x1C: "UART_STATUS",
    }

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == 0x00:
            self.send(value)


class Ns16550(Uart):
    """NS16550: the divisor hides behind the first two registers."""

    NAMES: ClassVar[dict[int, str]] = {
        0: "THR/DLL",
        1: "IER/DLM",
        2: "FCR",
        3: "LCR",
        5: "LSR",
    }
    SIZE_BYTES = 1

    def __init__(self, read_memory: ReadMemory) -> None:
        super().__init__(read_memory)
        self.divisor = 0

    def read(self, offset: int) -> int:
        return 0x60 if offset == 5 else super().read(offset)  # THRE, TEMT

    def write(self, offset: int, value: int) -> None:
        if offset in (0, 1) and self.values[3] & 0x80:
            shift = 8 * offset
            self.divisor = self.divisor & ~(0xFF << shift) | value << shift
            return
        super().write(offset, value)
        if offset == 0 and self.divisor and self.values[3] & 3 == 3:
            self.send(value)


class Cmsdk(Uart):
    """Arm's CMSDK APB UART."""

    NAMES: ClassVar[dict[int, str]] = {
        0x00: "DATA",
        0x04: "STATE",
        0x08: "CTRL",
        0x10: "BAUDDIV",
    }

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == 0x00 and self.values[0x08] & 1 and self.values[0x10] >= 16:
            self.send(value)


UARTS: dict[UartFamily, type[Uart]] = {
    UartFamily.NRF_UARTE: NrfUarte,
    UartFamily.NRF_UART: NrfUart,
    UartFamily.STM32_V1: Stm32V1,
    UartFamily.STM32_V2: Stm32V2,
    UartFamily.PL011: Pl011,
    UartFamily.ESP: Esp,
    UartFamily.NS16550: Ns16550,
    UartFamily.CMSDK: Cmsdk,
}


@dataclass(slots=True)
class Peripherals:
    """A board's UART, and the registers of its set-up steps, which keep what is written and are ready at once.

    `registers` may hold reset values; `writes` is every write, in order.
    """

    board: Board
    read_memory: ReadMemory
    registers: dict[int, int] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    uart: Uart | None = None

    def __post_init__(self) -> None:
        family = UARTS.get(self.board.console.uart)
        self.uart = family(self.read_memory) if family else None

    @property
    def sent(self) -> bytearray:
        """The bytes that left the UART and were not taken away yet."""
        return self.uart.sent if self.uart else bytearray()

    def pages(self) -> tuple[int, ...]:
        """Addresses of the pages that hold a register."""
        addresses = [step.address for step in self.board.console.setup]
        addresses += [self.board.console.base] if self.uart else []
        return tuple(sorted({address // PAGE_BYTES * PAGE_BYTES for address in addresses}))

    def read(self, address: int, size_bytes: int) -> int:
        """What the firmware reads from an address in one of the pages."""
        if (uart := self._uart_at(address, size_bytes)) is not None:
            return uart.read(address - self.board.console.base)
        steps = self._steps_at(address, size_bytes, "read")
        ready = 0
        for step in steps:
            ready |= step.wait_set
        return self.registers.get(address, 0) | ready

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """What the firmware writes to an address in one of the pages."""
        self.writes.append(Write(address, value, size_bytes))
        if (uart := self._uart_at(address, size_bytes)) is not None:
            uart.write(address - self.board.console.base, value)
            return
        self._steps_at(address, size_bytes, "write")
        self.registers[address] = value

    def _uart_at(self, address: int, size_bytes: int) -> Uart | None:
        uart, offset = self.uart, address - self.board.console.base
        return uart if uart and offset in uart.NAMES and size_bytes == uart.SIZE_BYTES else None

    def _steps_at(self, address: int, size_bytes: int, what: str) -> list[RegisterStep]:
        steps = [step for step in self.board.console.setup if step.address == address]
        if not steps or size_bytes != 4:
            raise RegisterError(
                f"{what} of {size_bytes} bytes at 0x{address:08x}, which is no register of the console "
                f"{self.board.console.name} ({self.board.console.uart.value}) or of its set-up"
            )
        return steps
