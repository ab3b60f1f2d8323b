"""Turns what went wrong in the firmware into one sentence: address, function and layer."""

from __future__ import annotations

from tinygen.boards import Memory
from tinygen.emulate.stream import Damage, Fault, Output
from tinygen.emulate.symbols import Image
from tinygen.errors import EmulatorError
from tinygen.targets import Architecture
from tinygen.toolchain import Build, Firmware

# An access this far below the stack's end still comes from the stack: a frame that is larger than what was left.
STACK_REACH_BYTES = 1 << 20

CAUSE_CALLER_PC = 0x100  # start_arm_m.c: no stack was left to save the pc, so it is a caller's
_ARM_EXCEPTIONS = {2: "NMI", 3: "hard fault", 4: "memory fault", 5: "bus fault", 6: "usage fault"}
_ARM_STATUS = (
    (1 << 25, "division by zero"),
    (1 << 24, "unaligned access"),
    (1 << 19, "coprocessor or FPU off"),
    (1 << 18, "invalid return address"),
    (1 << 17, "jump to Arm code"),
    (1 << 16, "undefined instruction"),
    (1 << 12, "bus fault while stacking"),
    (1 << 10, "imprecise bus fault"),
    (1 << 9, "invalid data access"),
    (1 << 8, "invalid instruction fetch"),
    (1 << 4, "memory fault while stacking"),
    (1 << 1, "invalid data access"),
    (1 << 0, "invalid instruction fetch"),
)
RISCV_CAUSES = {
    0: "misaligned jump",
    1: "invalid instruction fetch",
    2: "illegal instruction",
    3: "breakpoint",
    4: "misaligned read",
    5: "invalid read",
    6: "misaligned write",
    7: "invalid write",
}
_XTENSA_CAUSES = {
    0: "illegal instruction",
    2: "invalid instruction fetch",
    3: "invalid data access",
    6: "division by zero",
    9: "unaligned access",
    12: "invalid instruction fetch",
    13: "invalid data access",
    14: "invalid instruction fetch",
    15: "invalid data access",
    16: "invalid instruction fetch",
    20: "invalid instruction fetch",
    24: "invalid data access",
    28: "invalid read",
    29: "invalid write",
}


def place(firmware: Firmware, emulator: str) -> str:
    """Where it happened, for the beginning of a message."""
    return f"{firmware.name} on {firmware.board.name} ({emulator})"


def during(output: Output, firmware: Firmware) -> str:
    """When it happened, as far as the steps that were recorded tell."""
    inference = f"inference {len(output.inferences)}"
    if firmware.build is not Build.VALIDATION:
        return inference
    if not output.open_steps:
        return f"{inference}, in its first step"
    step = output.open_steps[-1]
    rows = f"rows {step.row_begin} to {step.row_end - 1}" if step.row_begin < step.row_end else "before its last rows"
    return f"{inference}, in the step that follows layer {step.layer} ({rows})"


def code_place(image: Image, pc: int | None) -> str:
    """A program counter with its function's name."""
    if pc is None:
        return "at an unknown place"
    name = image.function_at(pc)
    return f"in function {name} (pc 0x{pc:08x})" if name else f"at pc 0x{pc:08x}, outside every function"


def below_stack(address: int, ram: Memory) -> bool:
    """Whether an address is where an overflowing stack writes."""
    return 0 < (ram.origin - address) % (1 << 32) <= STACK_REACH_BYTES  # below address 0 lies the top of memory


def stack_error(firmware: Firmware, emulator: str, where: str, when: str) -> EmulatorError:
    """The stack left the bytes that were reserved for it."""
    return EmulatorError(
        f"{place(firmware, emulator)}: stack overflow {where}, during {when}: more than the "
        f"{firmware.board.stack_bytes} bytes that the board's stack_bytes reserves. "
        "This is a bug in the generated code, unless your board file sets stack_bytes very low."
    )


def guard_error(firmware: Firmware, emulator: str, output: Output, damage: Damage) -> EmulatorError:
    """Bytes beside the arena were overwritten."""
    if damage.first < 0:
        where = f"{-damage.first} bytes before the arena's start"
    else:
        where = f"{damage.first - damage.arena_bytes} bytes behind the arena's end"
    # The guards are looked at after every recorded step, so the last step is the one that did it.
    steps = output.open_steps
    when = f"inference {len(output.inferences)}" + (f", layer {steps[-1].layer}" if steps else "")
    return EmulatorError(
        f"{place(firmware, emulator)}: the arena's guard was overwritten: {damage.damaged_bytes} bytes, the lowest "
        f"{where} ({damage.arena_bytes} bytes), seen at the end of {when}. "
        "This is a bug in the generated code or its memory plan; please report it with the model."
    )


def fault_error(
    firmware: Firmware, emulator: str, output: Output, fault: Fault, image: Image, ram: Memory
) -> EmulatorError:
    """What the firmware's own fault handler reported."""
    architecture = firmware.board.target.architecture
    if architecture is Architecture.ARM_M:
        number = fault.cause & ~CAUSE_CALLER_PC
        what = _ARM_EXCEPTIONS.get(number, f"exception {number}")
        reasons = [text for bit, text in _ARM_STATUS if (fault.status or 0) & bit]
        what += f": {', '.join(reasons)}" if reasons else ""
        what += "" if fault.status is None else f", CFSR 0x{fault.status:08x}"
    elif architecture is Architecture.RISCV32:
        what = RISCV_CAUSES.get(fault.cause, f"trap {fault.cause:#x}")
    else:
        what = _XTENSA_CAUSES.get(fault.cause, f"exception {fault.cause}")
    where, when = code_place(image, fault.pc), during(output, firmware)
    if fault.cause & CAUSE_CALLER_PC and fault.pc is not None:
        where = where.replace("in function", "in or below function")
    overflowed = below_stack(fault.stack_pointer, ram) or (
        fault.address is not None and below_stack(fault.address, ram)
    )
    if overflowed:
        return stack_error(firmware, emulator, where, when)
    # Only accesses have an address; for a trap or an illegal instruction the register holds nothing of use.
    address = (
        ""
        if fault.address is None or "instruction" in what or what == "breakpoint"
        else f" at address 0x{fault.address:08x}"
    )
    return EmulatorError(
        f"{place(firmware, emulator)}: {what}{address} {where}, during {when}. "
        "This is a bug in the generated code, or the board file's memories are not the machine's."
    )


def timeout_error(firmware: Firmware, emulator: str, output: Output, limit: str, where: str = "") -> EmulatorError:
    """The firmware did not end in time."""
    return EmulatorError(
        f"{place(firmware, emulator)}: no end within {limit}{where and f', last {where}'}, during "
        f"{during(output, firmware)}. Give it more time with fewer inputs or a larger timeout."
    )


def unfinished_error(firmware: Firmware, emulator: str, output: Output, detail: str) -> EmulatorError:
    """The firmware ended without saying so."""
    return EmulatorError(
        f"{place(firmware, emulator)}: the firmware stopped during {during(output, firmware)} "
        f"without an end record: {detail}."
    )
