"""Measures compiled code without linking it: bytes of code, bytes of weights, worst-case stack."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinygen.resources import resource_path
from tinygen.targets import Family, Target
from tinygen.toolchain.elf import ALLOC, WRITE, open_elf
from tinygen.toolchain.find import Toolchain
from tinygen.toolchain.firmware import write_sources
from tinygen.toolchain.options import compile_options, generated_options
from tinygen.toolchain.run import call_all
from tinygen.toolchain.stack import frames_from_section, frames_from_su, worst_stack

_PUSH = re.compile(r'"push \{([^}]*)\}')
_LOWER = re.compile(r'"sub sp, sp, #(\d+)')


@dataclass(frozen=True, slots=True)
class CodeSize:
    """What a model's C becomes; flash is code and weights, the compiler's run-time support not counted."""

    code_bytes: int
    weights_bytes: int
    stack_bytes: int | None  # worst case of NAME_run and all it calls; None: the calls cannot all be known
    writable_bytes: int = 0  # .data and .bss, which generated C promises not to have


def measure(files: Mapping[str, str], name: str, target: Target, toolchain: Toolchain) -> CodeSize:
    """Compiles the generated C as users do (release, -O2) and reads the objects."""
    zig = toolchain.family is Family.ZIG
    # GCC writes frame sizes to a file; clang puts them into the object, where zig's cache cannot lose them.
    stack = "-fstack-size-section" if zig else "-fstack-usage"
    includes = ("-I", ".", "-idirafter", str(resource_path("firmware") / "include"))
    base = (*toolchain.command, *compile_options(target, toolchain), *generated_options(toolchain), *includes, "-c")
    with tempfile.TemporaryDirectory(prefix="tinygen-size-") as folder:
        directory = Path(folder)
        write_sources(files, name, directory)
        call_all(
            [
                (*base, stack, f"{name}.c", "-o", f"{name}.o"),
                (*base, f"{name}_weights.c", "-o", f"{name}_weights.o"),
            ],
            directory,
        )
        code_bytes, code_writable = section_bytes(directory / f"{name}.o")
        weights_bytes, weights_writable = section_bytes(directory / f"{name}_weights.o")
        frames = frames_from_section(directory / f"{name}.o") if zig else frames_from_su(directory / f"{name}.su")
        stack_bytes = worst_stack(directory / f"{name}.o", f"{name}_run", frames, directory / f"{name}_weights.o")
    if stack_bytes is not None:
        stack_bytes += pushed_bytes(files.values())
    return CodeSize(code_bytes, weights_bytes, stack_bytes, code_writable + weights_writable)


def pushed_bytes(texts: Iterable[str]) -> int:
    """What assembly takes of the stack at most, of which no compiler knows; such code calls no function."""
    text = "".join(texts)
    most = 0
    for registers in _PUSH.findall(text):
        ranges = [[int(n) for n in re.findall(r"\d+", part)] or [0] for part in registers.split(",")]
        most = max(most, sum(4 * (numbers[-1] - numbers[0] + 1) for numbers in ranges))
    return most + max(map(int, _LOWER.findall(text)), default=0)


def section_bytes(path: Path) -> tuple[int, int]:
    """Allocated bytes of an object: read-only ones (code, constants) and writable ones."""
    fixed = writable = 0
    with open_elf(path) as elf:
        for section in elf.iter_sections():
            if not section["sh_flags"] & ALLOC or section["sh_type"] == "SHT_ARM_EXIDX":
                continue
            if section["sh_flags"] & WRITE:
                writable += section["sh_size"]
            else:
                fixed += section["sh_size"]
    return fixed, writable
