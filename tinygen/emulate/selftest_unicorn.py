"""The self-test in Unicorn: the board's memories, its UART as a model, exact instructions of one inference."""

from __future__ import annotations

import time
from typing import Any

from tinygen.emulate import counter, faults
from tinygen.emulate.console import Peripherals
from tinygen.emulate.engine import (
    BKPT_SEMIHOSTING,
    PAGE_BYTES,
    Core,
    access_kind,
    make_core,
    map_memories,
    unicorn_module,
)
from tinygen.emulate.lines import SelfTest, Transcript
from tinygen.emulate.semihosting import Semihosting
from tinygen.emulate.symbols import Image, read_image
from tinygen.emulate.unicorn import MAX_INSTRUCTIONS
from tinygen.errors import EmulatorError
from tinygen.toolchain import Firmware

DWT_PAGE = 0xE000_1000
DWT_CTRL, DWT_CYCCNT, DWT_LAR = 0x000, 0x004, 0xFB0
LAR_KEY = 0xC5AC_CE55
CPUID, CPUID_M7 = 0xE000_ED00, 0x411F_C272  # the M7 alone locks its DWT, and firmware looks here
DEMCR, TRCENA = 0xE000_EDFC, 1 << 24
# The exceptions that the core itself would take.
ARM_BUS_FAULT, ARM_USAGE_FAULT = 5, 6
RISCV_ILLEGAL, RISCV_READ, RISCV_WRITE = 2, 5, 7
UNKNOWN = 0xFFFF_FFFF


def run_in_unicorn(firmware: Firmware, timeout_s: float) -> SelfTest:
    """From reset to the halt."""
    return UnicornSelfTest(firmware).run(timeout_s)


class UnicornSelfTest:
    """One engine for one run; `peripherals` may be given reset values before, and tells every register write after."""

    def __init__(self, firmware: Firmware) -> None:
        unicorn = unicorn_module()
        self.firmware = firmware
        self.image: Image = read_image(firmware.elf)
        self.transcript = Transcript(firmware.name)
        self.core: Core = make_core(firmware.board)
        self.engine: Any = self.core.engine
        self.peripherals = Peripherals(firmware.board, self._memory)
        self.host = Semihosting(b"", self._memory, self.engine.mem_write)
        self._problem = ""
        self._fault: tuple[int, int] = (0, UNKNOWN)  # cause, address
        self._trapped_pc: int | None = None
        self._dwt_ctrl = self._cycles = 0
        self._dwt_locked = firmware.board.target.unicorn_cpu == "CORTEX_M7"
        map_memories(self.core, firmware.board, self.image)
        for page in self.peripherals.pages():
            self._map_registers(page)
        if self.core.arm:
            self.engine.mem_write(CPUID, (CPUID_M7 if self._dwt_locked else 0).to_bytes(4, "little"))
            self.engine.mmio_map(DWT_PAGE, PAGE_BYTES, self._read_dwt, None, self._write_dwt, None)
        self.engine.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        self.engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        self._hook_at("tinygen_semihosting", 4, self._on_ebreak)  # RISC-V: Unicorn would end at the ebreak
        self._hook_at("tinygen_read_mcycle", 0, self._on_mcycle)  # where Unicorn gives the host's clock
        run_entry = self.image.symbols.get(f"{firmware.name}_run")
        self.counter = None if run_entry is None else counter.make_counter(self.engine, self._counting(run_entry & ~1))

    def run(self, timeout_s: float) -> SelfTest:
        """From reset to the halt, through the firmware's own report of a fault if it comes to that."""
        unicorn = unicorn_module()
        start = self.image.entry
        if self.core.arm:
            self.core.write("sp", self.image.symbols.get("_stack_top", self.firmware.board.ram.end))
        until = self.image.symbols.get("tinygen_halt", counter.NO_ADDRESS)
        until = until if until == counter.NO_ADDRESS else until & ~1
        deadline = time.monotonic() + timeout_s
        for _ in range(2):  # the second time for the report of a fault
            try:
                left_s = max(1e-6, deadline - time.monotonic())
                self.engine.emu_start(start | int(self.core.arm), until, timeout=max(1, int(left_s * 1e6)))
                problem, is_invalid = "", False
            except unicorn.UcError as error:
                problem, is_invalid = str(error), error.errno == unicorn.UC_ERR_INSN_INVALID
            entry = self.image.symbols.get("tinygen_fault")
            is_fault = bool(problem) or self._trapped_pc is not None
            if is_fault and not self._problem and entry is not None and not self.transcript.finished:
                self._take_exception(is_invalid)
                start = entry & ~1
                continue
            self._problem = self._problem or problem
            break
        halted = until == counter.NO_ADDRESS or self.core.read("pc") & ~1 == until
        if self._problem or not self.transcript.finished or not halted:
            raise self._error(timeout_s)
        return self.transcript.result(self.counter.instructions if self.counter else None)

    # --- memory and registers -----------------------------------------------------------------------------------

    def _memory(self, address: int, count: int) -> bytes:
        return bytes(self.engine.mem_read(address, count))

    def _map_registers(self, page: int) -> None:
        def read(_engine: Any, offset: int, size: int, _user: object) -> int:
            try:
                return self.peripherals.read(page + offset, size)
            except Exception as error:  # none may travel through Unicorn's C frames
                self._stop(error)
                return 0

        def write(_engine: Any, offset: int, size: int, value: int, _user: object) -> None:
            try:
                self.peripherals.write(page + offset, size, value)
                self._take(self.peripherals.sent)
            except Exception as error:
                self._stop(error)

        self.engine.mmio_map(page, PAGE_BYTES, read, None, write, None)

    def _take(self, sent: bytearray) -> None:
        self.transcript.feed(bytes(sent))
        sent.clear()
        if self.transcript.finished and "tinygen_halt" not in self.image.symbols:
            self.engine.emu_stop()

    def _stop(self, error: Exception) -> None:
        self._problem = self._problem or str(error)
        self.engine.emu_stop()

    # --- the counter of cycles: it counts the instructions of finished inferences ---------------------------------

    def _read_cycles(self) -> int:
        self._cycles = (self._cycles + (self.counter.instructions if self.counter else 0)) & 0xFFFF_FFFF
        return self._cycles

    def _read_dwt(self, _engine: Any, offset: int, _size: int, _user: object) -> int:
        if offset == DWT_CYCCNT and self._dwt_ctrl & 1:
            return self._read_cycles()
        return self._dwt_ctrl if offset == DWT_CTRL else 0

    def _write_dwt(self, _engine: Any, offset: int, _size: int, value: int, _user: object) -> None:
        if offset == DWT_LAR:
            self._dwt_locked = value != LAR_KEY
        traced = int.from_bytes(self._memory(DEMCR, 4), "little") & TRCENA
        if offset == DWT_CTRL and traced and not self._dwt_locked:
            self._dwt_ctrl = value

    def _on_mcycle(self, _engine: Any, _address: int, _size: int, _user: object) -> None:
        self.core.write("a0", self._read_cycles())
        self.core.write("pc", self.core.read("link"))

    def _counting(self, run_entry: int) -> counter.Settings:
        return counter.Settings(
            run_entry=run_entry,
            hook_entry=counter.NO_ADDRESS,  # so that the count is what a counter in the core would show
            limit=MAX_INSTRUCTIONS,
            link_register=self.core.registers["link"],
            encoding=counter.THUMB if self.core.arm else counter.RISCV,
        )

    # --- semihosting ----------------------------------------------------------------------------------------------

    def _hook_at(self, symbol: str, offset: int, hook: Any) -> None:
        if not self.core.arm and symbol in self.image.symbols:
            address = self.image.symbol(symbol) + offset
            self.engine.hook_add(unicorn_module().UC_HOOK_CODE, hook, None, address, address)

    def _on_ebreak(self, _engine: Any, address: int, _size: int, _user: object) -> None:
        self._serve(address + 4)

    def _on_interrupt(self, _engine: Any, number: int, _user: object) -> None:
        pc = self.core.read("pc")
        if self.core.arm and self._memory(pc, 2) == BKPT_SEMIHOSTING:
            self._serve(pc + 2 | 1)
        elif not self.core.arm and number in faults.RISCV_CAUSES:
            self._fault, self._trapped_pc = (number, UNKNOWN), self.core.trapped_pc()
            self.engine.emu_stop()
        else:
            self._stop(RuntimeError(f"exception {number} {faults.code_place(self.image, pc)}"))

    def _serve(self, next_pc: int) -> None:
        try:
            result = self.host.call(self.core.read("a0"), self.core.read("a1"))
            self.core.write("a0", result)
            self.core.write("pc", next_pc)
            self._take(self.host.terminal)
        except Exception as error:
            self._stop(error)

    # --- faults -----------------------------------------------------------------------------------------------------

    def _on_invalid(self, _engine: Any, access: int, address: int, _size: int, _value: int, _user: object) -> bool:
        writing = "write" in access_kind(access)
        cause = ARM_BUS_FAULT if self.core.arm else RISCV_WRITE if writing else RISCV_READ
        self._fault = (cause, address)
        return False

    def _take_exception(self, is_invalid: bool) -> None:
        """Unicorn ends where a core would enter the start-up's handler: calls what the handler calls."""
        cause, address = self._fault
        if is_invalid or not cause:
            cause = ARM_USAGE_FAULT if self.core.arm else RISCV_ILLEGAL
        stack = self.image.symbols.get("_stack_top", self.firmware.board.ram.end)
        pc = self.core.read("pc") if self._trapped_pc is None else self._trapped_pc
        arguments = (cause, pc, address, UNKNOWN, self.core.read("sp"))
        self._trapped_pc = None
        for number, value in enumerate(arguments[:4]):
            self.core.write(f"a{number}", value)
        if self.core.arm:
            self.engine.mem_write(stack - 8, arguments[4].to_bytes(4, "little"))
            self.core.write("sp", stack - 8)
        else:
            self.core.write("a4", arguments[4])
            self.core.write("sp", stack)

    def _error(self, timeout_s: float) -> EmulatorError:
        where = faults.code_place(self.image, self.core.read("pc"))
        place = faults.place(self.firmware, "unicorn")
        shown = f" It had printed: {self.transcript.lines[-1]}" if self.transcript.lines else " It had printed nothing."
        if self._problem:
            return EmulatorError(f"{place}: {self._problem}, {where}.{shown}")
        if self.core.read("pc") & ~1 == self.image.symbols.get("tinygen_halt", counter.NO_ADDRESS) & ~1:
            return EmulatorError(f"{place}: the self-test ended without a whole last line.{shown}")
        if self.counter and self.counter.limited:
            return EmulatorError(f"{place}: no end after {MAX_INSTRUCTIONS} instructions, {where}.{shown}")
        return EmulatorError(
            f"{place}: the self-test's last line did not come in {timeout_s:g} s; it was {where}.{shown}"
        )
