"""Runs firmware in Unicorn: the board's own addresses, strict memories, exact instruction counts."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from typing import Any

from tinygen.boards import Board
from tinygen.emulate import counter, faults
from tinygen.emulate.base import Counts, Job, Progress, Run, with_counts
from tinygen.emulate.engine import BKPT_SEMIHOSTING, Core, access_kind, make_core, map_memories, unicorn_module
from tinygen.emulate.semihosting import Semihosting
from tinygen.emulate.stream import EXIT_DONE, RECORD_END, decode_output, encode_input
from tinygen.emulate.symbols import Image, read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.toolchain import Firmware, Platform

MAX_INSTRUCTIONS = 20_000_000_000  # of one inference; hundreds of times what the largest known model needs
RETURN = b"\x82\x80"  # RISC-V c.ret
INSTALL = "pip install unicorn"
NAME = "unicorn"


@dataclass(slots=True)
class _Trouble:
    """What hooks saw before Unicorn returned."""

    access: str = ""
    address: int = 0
    size: int = 0
    pc: int = 0
    semihosting: str = ""


class Unicorn:
    """The embedded default: every Cortex-M but M55, and RV32."""

    name = NAME

    def unsupported(self, board: Board) -> str | None:
        """Why Unicorn cannot run the board here and now."""
        if not board.target.unicorn_cpu:
            return f"Unicorn has no model of {board.target.name} (board {board.name})."
        if not board.emulation.unicorn:
            return f"the description of board {board.name} does not allow Unicorn (emulation.unicorn = true would)."
        if importlib.util.find_spec("unicorn") is None:
            return f"Unicorn is not installed: {INSTALL}."
        return None

    def run(self, firmware: Firmware, job: Job, on_progress: Progress | None = None) -> Run:
        """Runs the job in this process."""
        reason = self.unsupported(firmware.board)
        if reason:
            raise ToolError(f"emulator unicorn: {reason}")
        if firmware.platform is not Platform.BOARD:
            raise EmulatorError(f"emulator unicorn: this firmware is linked for {firmware.platform.value}.")
        return _Session(firmware, job, on_progress).run()


class _Session:
    """One engine for one job."""

    def __init__(self, firmware: Firmware, job: Job, on_progress: Progress | None) -> None:
        self.firmware = firmware
        self.job = job
        self.on_progress = on_progress
        self.image: Image = read_image(firmware.elf)
        self.core: Core = make_core(firmware.board)
        self.arm = self.core.arm
        self.trouble = _Trouble()
        self.counts: list[Counts] = []
        self.engine: Any = self._engine()
        self.host = Semihosting(
            encode_input(job), lambda at, n: bytes(self.engine.mem_read(at, n)), self.engine.mem_write
        )
        self.counter = counter.make_counter(self.engine, self._counter_settings())

    def _engine(self) -> Any:
        unicorn, engine = unicorn_module(), self.core.engine
        map_memories(self.core, self.firmware.board, self.image)
        engine.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        if not self.arm:
            # The map here is strict already, and a fault that the PMP finds would come without its address.
            engine.mem_write(self.image.symbol("tinygen_protect_memory"), RETURN)
            # Unicorn ends at RISC-V's ebreak instead of calling the interrupt hook, so come before it.
            ebreak = self.image.symbol("tinygen_semihosting") + 4
            engine.hook_add(unicorn.UC_HOOK_CODE, self._on_ebreak, None, ebreak, ebreak)
        engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        return engine

    def _counter_settings(self) -> counter.Settings:
        hook = self.image.symbols.get(f"{self.firmware.name}_validate_step")
        return counter.Settings(
            run_entry=self.image.symbol(f"{self.firmware.name}_run"),
            hook_entry=counter.NO_ADDRESS if hook is None else hook & ~1,
            limit=MAX_INSTRUCTIONS,
            link_register=self.core.registers["link"],
            encoding=counter.THUMB if self.arm else counter.RISCV,
            estimate_cycles=self.firmware.board.target.unicorn_cpu == "CORTEX_M4",
        )

    def _on_ebreak(self, engine: Any, address: int, _size: int, _user: object) -> None:
        self._serve(engine, address, 4)

    def _on_interrupt(self, engine: Any, number: int, _user: object) -> None:
        pc = self.core.read("pc")
        if self.arm and bytes(engine.mem_read(pc, 2)) == BKPT_SEMIHOSTING:
            self._serve(engine, pc, 2)
            return
        causes = {} if self.arm else faults.RISCV_CAUSES
        self.trouble = _Trouble(access=causes.get(number, f"exception {number}"), pc=self.core.trapped_pc())
        engine.emu_stop()

    def _serve(self, engine: Any, pc: int, width: int) -> None:
        """One semihosting call; then on behind the instruction of `width` bytes."""
        operation = self.core.read("a0")
        before = len(self.host.output)
        try:
            result = self.host.call(operation, self.core.read("a1"))
        except Exception as error:
            # Whatever it is, an exception must not travel through Unicorn's C frames.
            self.trouble = _Trouble(semihosting=f"{type(error).__name__}: {error}", pc=pc)
            engine.emu_stop()
            return
        if self.host.exit_code is not None:
            engine.emu_stop()
            return
        self.core.write("a0", result)
        self.core.write("pc", (pc + width) | int(self.arm))
        self._watch(before)

    def _watch(self, before: int) -> None:
        """The END record arrives in one call of its own: the moment to note the counts of an inference."""
        written = self.host.output[before:]
        if len(written) == 8 and int.from_bytes(written[:4], "little") == RECORD_END:
            self.counts.append(self.counter.counts())
            if self.on_progress:
                self.on_progress(len(self.counts), len(self.job.inputs))

    def _on_invalid(self, engine: Any, access: int, address: int, size: int, _value: int, _user: object) -> bool:
        self.trouble = _Trouble(access_kind(access), address, size, self.core.read("pc"))
        return False

    def run(self) -> Run:
        """From reset to the firmware's exit."""
        unicorn = unicorn_module()
        start = self.image.entry
        if self.arm:
            self.core.write("sp", self.image.symbol("_stack_top"))
            start |= 1
        began = time.monotonic()
        failure = ""
        try:
            self.engine.emu_start(start, counter.NO_ADDRESS, timeout=max(1, int(self.job.timeout_s * 1e6)))
        except unicorn.UcError as error:
            failure = str(error)
        if self.host.exit_code == EXIT_DONE and not failure:
            output = decode_output(bytes(self.host.output), self.job)
            if output.complete:
                return Run(NAME, tuple(map(with_counts, output.inferences, self.counts)), self._notes())
        raise self._error(failure, time.monotonic() - began)

    def _notes(self) -> tuple[str, ...]:
        if isinstance(self.counter, counter.NativeCounter):
            return ()
        return ("no C compiler for this machine was found, so instructions were counted in Python, which is slow",)

    def _error(self, failure: str, seconds: float) -> EmulatorError:
        output = decode_output(bytes(self.host.output), self.job)
        firmware, trouble, ram = self.firmware, self.trouble, self.firmware.board.ram
        where, when = faults.code_place(self.image, trouble.pc), faults.during(output, firmware)
        place = faults.place(firmware, NAME)
        if output.damage:
            return faults.guard_error(firmware, NAME, output, output.damage)
        if trouble.semihosting:
            return EmulatorError(f"{place}: the firmware asked for {trouble.semihosting} {where}, during {when}.")
        stack_pointer = self.core.read("sp")
        if trouble.access and (
            (trouble.size and faults.below_stack(trouble.address, ram)) or faults.below_stack(stack_pointer, ram)
        ):
            return faults.stack_error(firmware, NAME, where, when)
        if trouble.access:
            size = f" of {trouble.size} bytes at 0x{trouble.address:08x}" if trouble.size else ""
            return EmulatorError(
                f"{place}: {trouble.access}{size} {where}, during {when}. This is a bug in the "
                "generated code, or the board file's memories are not the chip's."
            )
        pc = self.core.read("pc")
        where = faults.code_place(self.image, pc)
        if failure:
            return EmulatorError(f"{place}: {failure} {where}, during {when}.")
        if self.counter.limited:
            return faults.timeout_error(firmware, NAME, output, f"{MAX_INSTRUCTIONS} instructions", where)
        if self.host.exit_code is None and seconds >= self.job.timeout_s:
            return faults.timeout_error(firmware, NAME, output, f"{self.job.timeout_s:g} s", where)
        return faults.unfinished_error(firmware, NAME, output, f"exit code {self.host.exit_code} {where}")
