"""Instruction sets as feature sets, with what each compiler and emulator has to be told about them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum

from tinygen.errors import BoardError


class Architecture(Enum):
    """The family that decides start-up code, ELF machine and register names."""

    ARM_M = "arm-m"
    RISCV32 = "riscv32"
    XTENSA = "xtensa"


class Family(Enum):
    """A family of compilers that take the same options; the value is its short name in messages."""

    ARM_GCC = "arm-none-eabi-gcc"
    RISCV_GCC = "riscv64-unknown-elf-gcc"
    ESP32_GCC = "xtensa-esp32-elf-gcc"
    ESP32S3_GCC = "xtensa-esp32s3-elf-gcc"
    XTENSA_LLVM = "xtensa-llvm"
    XTENSA_GCC = "xtensa-lx106-elf-gcc"
    ZIG = "zig"


WINDOWED = frozenset({Family.ESP32_GCC, Family.ESP32S3_GCC, Family.XTENSA_LLVM})
"""Compilers that make an Xtensa chip's own code: windowed ABI, all instructions of the LX6."""


# What a kernel may ask of a target. Decisions are made on these words, never on a CPU's name.
FEATURES: dict[str, str] = {
    "dsp": "Arm DSP extension: dual 16-bit multiply-accumulate, saturating arithmetic",
    "mve": "Arm Helium: 128-bit vectors of integers, with low-overhead loops",
    "mul": "32 x 32 -> 64 bit multiply (or its high half) in hardware",
    "div": "32-bit division in hardware",
    "unaligned": "loads and stores of words at any address",
    "fpu": "single-precision floating point",
    "fpu64": "double-precision floating point",
    "mac16": "Xtensa MAC16: 16 x 16 multiply into a 40-bit accumulator",
    "loop": "zero-overhead loops",
    "pie": "ESP32-S3 128-bit integer vectors",
}


@dataclass(frozen=True, slots=True)
class Target:
    """An instruction set: features for decisions, flags for compilers, CPU models for emulators."""

    name: str
    architecture: Architecture
    features: frozenset[str]
    gcc_flags: tuple[str, ...]
    zig_flags: tuple[str, ...]  # empty: zig cannot build it
    families: tuple[Family, ...]  # best first
    unicorn_cpu: str  # the suffix of Unicorn's UC_CPU_ARM_… or UC_CPU_RISCV32_…; empty: not in Unicorn
    qemu_cpu: str  # for machines that need -cpu; empty: the machine has its own
    gcc_link_flags: tuple[str, ...] = ()  # where the link needs others than compiling does


def _arm(name: str, features: str, gcc: str, zig: str, unicorn: str) -> Target:
    zig_abi = "eabihf" if "hard" in gcc else "eabi"
    return Target(
        name=name,
        architecture=Architecture.ARM_M,
        features=frozenset(features.split()),
        gcc_flags=("-mthumb", *gcc.split()),
        zig_flags=("-target", f"thumb-freestanding-{zig_abi}", f"-mcpu={zig}"),
        families=(Family.ARM_GCC, Family.ZIG),
        unicorn_cpu=unicorn,
        qemu_cpu="",
    )


def _xtensa(name: str, features: str, own_gcc: Family) -> Target:
    # Espressif's GCC is in no package registry, LLVM comes close (without PIE), and the LX106 is the smaller brother:
    # no windows, MAC16, loops or floats. Kernels that need what a compiler does not know are compiled out there by
    # the feature macros.
    return Target(
        name=name,
        architecture=Architecture.XTENSA,
        features=frozenset(features.split()),
        gcc_flags=("-mtext-section-literals", "-mlongcalls"),
        zig_flags=(),
        families=(own_gcc, Family.XTENSA_LLVM, Family.XTENSA_GCC),
        unicorn_cpu="",
        qemu_cpu="de233_fpu",
    )


# zig's cortex_* models have no FPU and no MVE, and its cortex_m33 no DSP, unless the feature is named.
TARGETS: tuple[Target, ...] = (
    _arm("cortex-m0", "", "-mcpu=cortex-m0 -mfloat-abi=soft", "cortex_m0", "CORTEX_M0"),
    # Unicorn has no M0+; the M0 has the same instructions.
    _arm("cortex-m0plus", "", "-mcpu=cortex-m0plus -mfloat-abi=soft", "cortex_m0plus", "CORTEX_M0"),
    _arm("cortex-m3", "mul div unaligned", "-mcpu=cortex-m3 -mfloat-abi=soft", "cortex_m3", "CORTEX_M3"),
    _arm("cortex-m4", "mul div unaligned dsp", "-mcpu=cortex-m4 -mfloat-abi=soft", "cortex_m4", "CORTEX_M4"),
    _arm(
        "cortex-m4f",
        "mul div unaligned dsp fpu",
        "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard",
        "cortex_m4+vfp4d16sp",
        "CORTEX_M4",
    ),
    _arm(
        "cortex-m7f",
        "mul div unaligned dsp fpu",
        "-mcpu=cortex-m7 -mfpu=fpv5-sp-d16 -mfloat-abi=hard",
        "cortex_m7+fp_armv8d16sp",
        "CORTEX_M7",
    ),
    _arm(
        "cortex-m7fd",
        "mul div unaligned dsp fpu fpu64",
        "-mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard",
        "cortex_m7+fp_armv8d16",
        "CORTEX_M7",
    ),
    _arm(
        "cortex-m33f",
        "mul div unaligned dsp fpu",
        "-mcpu=cortex-m33 -mfpu=fpv5-sp-d16 -mfloat-abi=hard",
        "cortex_m33+dsp+fp_armv8d16sp",
        "CORTEX_M33",
    ),
    _arm(
        "cortex-m55",
        "mul div unaligned dsp fpu fpu64 mve loop",
        "-mcpu=cortex-m55 -mfloat-abi=hard",
        "cortex_m55+mve_fp+fp_armv8d16",
        "",
    ),
    Target(
        name="rv32imc",
        architecture=Architecture.RISCV32,
        features=frozenset({"mul", "div"}),
        gcc_flags=("-march=rv32imc_zicsr", "-mabi=ilp32", "-mcmodel=medany", "-msmall-data-limit=0"),
        zig_flags=(
            "-target",
            "riscv32-freestanding-none",
            "-mcpu=generic_rv32+m+c+zicsr",
            "-mcmodel=medany",
        ),
        families=(Family.RISCV_GCC, Family.ZIG),
        unicorn_cpu="ANY",
        qemu_cpu="rv32,f=off,d=off,a=off",
        # with _zicsr GCC knows no 32-bit library and links the 64-bit one
        gcc_link_flags=("-march=rv32imc", "-mabi=ilp32"),
    ),
    _xtensa("xtensa-lx6", "mul div fpu mac16 loop", Family.ESP32_GCC),
    _xtensa("xtensa-lx7", "mul div fpu mac16 loop pie", Family.ESP32S3_GCC),
)


def target_names() -> tuple[str, ...]:
    """The names of all targets, in the table's order."""
    return tuple(target.name for target in TARGETS)


def find_target(name: str) -> Target:
    """The target called `name`; a `BoardError` with the nearest names when there is none."""
    for target in TARGETS:
        if target.name == name:
            return target
    near = difflib.get_close_matches(name, target_names(), n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(target_names())}."
    raise BoardError(f"target: {name!r} is not a known instruction set. {hint}")
