"""Measures compiled code without linking it: bytes of code, bytes of weights, worst-case stack."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tinygen.ledger import CodeSize
from tinygen.resources import resource_path
from tinygen.targets import Target
from tinygen.toolchain.elf import ALLOC, WRITE, open_elf
from tinygen.toolchain.find import Toolchain
from tinygen.toolchain.firmware import write_sources
from tinygen.toolchain.options import compile_options, generated_options, stack_options
from tinygen.toolchain.run import call_all
from tinygen.toolchain.stack import stack_bound

COPIED = ".data.tinygen."


def measure(files: Mapping[str, str], name: str, target: Target, toolchain: Toolchain) -> CodeSize:
    """Compiles the generated C as users do (release, -O2) and reads the objects."""
    includes = ("-I", ".", "-idirafter", str(resource_path("firmware") / "include"))
    base = (*toolchain.command, *compile_options(target, toolchain), *generated_options(toolchain), *includes, "-c")
    with tempfile.TemporaryDirectory(prefix="tinygen-size-") as folder:
        directory = Path(folder)
        write_sources(files, name, directory)
        call_all(
            [
                (*base, *stack_options(toolchain), f"{name}.c", "-o", f"{name}.o"),
                (*base, f"{name}_weights.c", "-o", f"{name}_weights.o"),
            ],
            directory,
        )
        code_bytes, code_writable = section_bytes(directory / f"{name}.o")
        weights_bytes, weights_writable = section_bytes(directory / f"{name}_weights.o")
        stack = stack_bound(directory, name, toolchain)
    return CodeSize(
        code_bytes,
        weights_bytes,
        stack.stack_bytes if stack else None,
        code_writable + weights_writable,
        stack.calls if stack else (),
        toolchain.name,
    )


def section_bytes(path: Path) -> tuple[int, int]:
    """Allocated bytes of an object: read-only ones (code, constants) and writable ones.

    Constants that `tinygen.placement` puts into RAM are read-only ones: flash holds them, start-up copies them.
    """
    fixed = writable = 0
    with open_elf(path) as elf:
        for section in elf.iter_sections():
            if not section["sh_flags"] & ALLOC or section["sh_type"] == "SHT_ARM_EXIDX":
                continue
            if section["sh_flags"] & WRITE and not section.name.startswith(COPIED):
                writable += section["sh_size"]
            else:
                fixed += section["sh_size"]
    return fixed, writable
