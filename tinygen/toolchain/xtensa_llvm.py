"""A compiler driver in the manner of GCC around LLVM's Xtensa back end, which has none of its own.

    python xtensa_llvm.py CLANG LLC LLVM-MC LINKER [options of GCC]

clang's driver takes no ESP32, so it only makes IR; llc makes assembly in the windowed ABI, llvm-mc the object, and GNU
ld of any little-endian Xtensa links (LLVM's does not know the machine). One C or assembly file becomes one object;
without `-c`, objects become a program. Runs as a program of its own and imports nothing of tinygen.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Density off: with 16-bit instructions llvm-mc misplaces literals ("fixup value must be 4-byte aligned").
CORE = ("-mcpu=esp32", "-mattr=-density")
TRIPLE = "xtensa"
# What GCC predefines for this ABI, and clang, which does not know what llc will do, does not.
PREDEFINED = ("-D__XTENSA_WINDOWED_ABI__=1", "-nostdlibinc")
# GCC does not contract a*b+c into one rounding in ISO C; clang does unless it is told.
# Without -nostdlibinc clang looks for a cross-compiled target in the host's /usr/include.
CLANG = ("-ffp-contract=off", "-fno-addrsig")
LLC_OPTIONS = {"-ffunction-sections": "-function-sections", "-fdata-sections": "-data-sections"}
WITH_VALUE = ("-I", "-idirafter", "-isystem", "-include", "-D", "-U")
# Options of the link that GCC would act upon and GNU ld does not know.
DRIVERS_OWN = ("-nostdlib", "-static", "-lgcc")


class StepError(Exception):
    """One of the programs failed; its own messages are already on stderr."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The four programs."""

    clang: str
    llc: str
    assembler: str
    linker: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call for a C or assembly file, with options sorted by who is to get them."""

    source: str
    output: Path
    clang_options: tuple[str, ...]
    llc_options: tuple[str, ...]
    writes_stack_usage: bool


def main(arguments: Sequence[str]) -> int:
    """Runs one call; the exit code."""
    tools, options = Tools(*arguments[:4]), list(arguments[4:])
    try:
        if "--version" in options:
            _run(tools.clang, "--version")
        elif "-c" in options:
            _compile(tools, parse(options))
        else:
            _link(tools, options)
    except StepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parse(options: Sequence[str]) -> Request:
    """Sorts GCC's options."""
    output, source, clang, llc, stack = "a.o", "", [], [], False
    rest = iter(options)
    for option in rest:
        if option == "-o":
            output = next(rest)
        elif option in WITH_VALUE:
            clang += [option, next(rest)]
        elif option in LLC_OPTIONS:
            llc.append(LLC_OPTIONS[option])
        elif option == "-fstack-usage":
            stack = True
        elif option.startswith("-"):
            if option != "-c":
                clang.append(option)
        else:
            source = option
    return Request(source, Path(output), tuple(clang), tuple(llc), stack)


def _compile(tools: Tools, request: Request) -> None:
    with tempfile.TemporaryDirectory(prefix="tinygen-llvm-") as folder:
        ir, raw, assembly = (str(Path(folder) / name) for name in ("code.ll", "raw.s", "code.s"))
        clang = (tools.clang, f"--target={TRIPLE}", *PREDEFINED)
        if request.source.endswith(".S"):
            _run(*clang, *_preprocessor(request.clang_options), "-E", "-P", request.source, "-o", assembly)
        else:
            _run(*clang, *request.clang_options, *CLANG, "-S", "-emit-llvm", request.source, "-o", ir)
            _run(tools.llc, f"-mtriple={TRIPLE}", *CORE, *request.llc_options, "-O2", ir, "-o", raw)
            lines = Path(raw).read_text(encoding="utf-8").splitlines()
            Path(assembly).write_text("\n".join(mend(lines)) + "\n", encoding="utf-8")
            if request.writes_stack_usage:
                text = "".join(f"{request.source}:1:1:{row}\n" for row in stack_usage(lines))
                request.output.with_suffix(".su").write_text(text, encoding="utf-8")
        _run(tools.assembler, f"-triple={TRIPLE}", *CORE, "-filetype=obj", assembly, "-o", str(request.output))


def _preprocessor(options: Iterable[str]) -> list[str]:
    return [option for option in options if not option.startswith(("-W", "-std="))]


def _link(tools: Tools, options: Iterable[str]) -> None:
    arguments: list[str] = []
    for option in options:
        if option.startswith("-Wl,"):
            arguments += option.split(",")[1:]
        elif option not in DRIVERS_OWN and not option.startswith("-O"):
            arguments.append(option)
    # Relaxation goes by tables that LLVM does not write.
    _run(tools.linker, "--no-relax", "-z", "noexecstack", *arguments)


_LITERAL = re.compile(r"\t\.literal (\S+), (.*)")
_FUNCTION = re.compile(r"\t\.type\t(\S+),@function")


def mend(lines: Sequence[str]) -> list[str]:
    """llc's assembly with literals where they belong.

    llc writes a function's literals before it changes to the function's section, and llvm-mc then puts them, unaligned,
    beside the function before. Here each function gets an aligned section of its own for them, ahead of its code,
    because l32r only reaches backwards. Paths of sources are cut off as well: they would end up in the object.
    """
    mended: list[str] = []
    for number, line in enumerate(lines):
        literal = _LITERAL.fullmatch(line)
        if line == "\t.literal_position":
            name = next((m[1] for m in map(_FUNCTION.fullmatch, lines[number:]) if m), "data")
            mended += [f'\t.section\t.literal.{name},"ax",@progbits', "\t.p2align\t2"]
        elif literal:
            mended.append(f"{literal[1]}:\n\t.long\t{literal[2]}")
        elif line.startswith("\t.file\t"):
            mended.append('\t.file\t"' + re.split(r'[/\\"]', line)[-2] + '"')
        else:
            mended.append(line)
    return mended


_ENTRY = re.compile(r"\tentry\ta1, (\d+)")
_MOVE = re.compile(r"\taddi\ta\d+, a1, (-?\d+)")


def stack_usage(lines: Iterable[str]) -> list[str]:
    """Rows of GCC's .su file, `function<TAB>bytes<TAB>kind`: the frame that `entry` makes and what movsp adds to it.

    Arguments on the stack lower the stack pointer by a constant around their call. Where a register lowers it, for an
    array of variable length or a frame that `entry` cannot make, the size is not known ("dynamic").
    """
    rows: list[str] = []
    name, kind, frame, lowered, lowest, before = "", "static", 0, 0, 0, ""
    for line in lines:
        if function := _FUNCTION.fullmatch(line):
            name, kind, frame, lowered, lowest = function[1], "static", 0, 0, 0
        elif entry := _ENTRY.match(line):
            frame = int(entry[1])
        elif line.startswith("\tmovsp\ta1, "):
            if move := _MOVE.match(before):
                lowered -= int(move[1])
                lowest = max(lowest, lowered)
            else:
                kind = "dynamic"
        elif line.startswith("\t.size\t") and name and frame:
            rows.append(f"{name}\t{frame + lowest}\t{kind}")
            name = ""
        before = line
    return rows


def _run(*command: str) -> None:
    try:
        code = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
    except OSError as error:
        raise StepError(f"{command[0]} cannot be started: {error.strerror}") from error
    if code:
        raise StepError(f"{Path(command[0]).name} ended with code {code}: {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
