"""Compiler options: one place for what every build of generated C and firmware is told."""

from __future__ import annotations

from enum import Enum

from tinygen.targets import Family, Target
from tinygen.toolchain.find import Toolchain


class Build(Enum):
    """RELEASE is what users ship; VALIDATION calls a hook after every step."""

    RELEASE = "release"
    VALIDATION = "validation"


# What generated C and firmware promise: no warning of gcc or clang.
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wpedantic", "-Werror")
KERNELS = ("-O2",)
GLUE = ("-Os",)
_COMMON = (
    "-ffreestanding",  # after -std: only the headers that need no C library
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-common",
    "-fomit-frame-pointer",
)
# zig turns the undefined-behaviour sanitizer on by itself, and warns about options that it does not need.
_ZIG = ("-fno-sanitize=all", "-g0", "-Wno-unused-command-line-argument")


def compile_options(target: Target, toolchain: Toolchain) -> tuple[str, ...]:
    """Options for one cross-compiled object, without optimisation level and warnings."""
    if toolchain.family is Family.ZIG:
        return (*target.zig_flags, *_COMMON, *_ZIG)
    if toolchain.family is Family.XTENSA_LLVM:  # the driver in xtensa_llvm.py names the core itself
        return (*_COMMON, "-g0")
    return (*target.gcc_flags, *_COMMON)


def generated_options(toolchain: Toolchain) -> tuple[str, ...]:
    """Options for generated C: hosted semantics, so that memcpy of a few bytes becomes loads and stores.

    clang unrolls loops at -O2, GCC does not. Inner loops are unrolled in their source, so clang's work costs 50 % more
    code and gains nothing: mlperf_ic 15,426 bytes against 9,762, 15.80 M instructions against 15.68.
    """
    rolled = ("-fno-unroll-loops",) if toolchain.family is Family.ZIG else ()
    return (*KERNELS, *rolled, "-fbuiltin", *STRICT)


def stack_options(toolchain: Toolchain) -> tuple[str, ...]:
    """What has the compiler tell the frames of generated functions, which changes no code.

    GCC writes them to a file; clang puts them into the object, where zig's cache cannot lose them.
    """
    return ("-fstack-size-section",) if toolchain.family is Family.ZIG else ("-fstack-usage",)


def link_options(target: Target, toolchain: Toolchain, script: str, entry: str) -> tuple[str, ...]:
    """Options of the link; never -nostdlib with zig, which would drop its compiler run-time."""
    common = ("-T", script, "-Wl,--gc-sections", f"-Wl,--entry={entry}")
    if toolchain.family is Family.ZIG:
        return (*target.zig_flags, "-O2", *_ZIG, *common)
    if toolchain.family is Family.XTENSA_LLVM:
        return common
    return (*(target.gcc_link_flags or target.gcc_flags), "-nostdlib", "-static", *common)
