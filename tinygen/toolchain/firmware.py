"""Builds the self-test firmware around generated C, for an emulator or for this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygen.boards import Board
from tinygen.errors import DoesNotFitError, ToolError
from tinygen.resources import resource_path
from tinygen.targets import Architecture, Family
from tinygen.toolchain.boot import loader_sources, seal
from tinygen.toolchain.elf import elf_reader_version
from tinygen.toolchain.find import Toolchain, find_host_compilers, find_toolchain
from tinygen.toolchain.linker import linker_script, region
from tinygen.toolchain.options import (
    GLUE,
    KERNELS,
    STRICT,
    Build,
    compile_options,
    generated_options,
    link_options,
    stack_options,
)
from tinygen.toolchain.platforms import ENTRY, Platform, board_platform, start_sources
from tinygen.toolchain.run import call, call_all
from tinygen.toolchain.stack import stack_bound

VALIDATE = "-DTINYGEN_VALIDATE"

HOST_OPTIMIZATION = "-O1"
"""Native programs run whole models, whose sanitizers are slow without; more takes compilers longer than it gains."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """A linked self-test: what it is for and what built it."""

    elf: Path
    board: Board
    build: Build
    toolchain: str
    name: str
    platform: Platform
    sanitizers: tuple[str, ...] = ()
    stack_bound_bytes: int | None = None  # of one inference, by the compiler's report; of release builds


_STREAMS: dict[Architecture, tuple[str, ...]] = {
    Architecture.ARM_M: ("semihosting.c", "protect.c"),
    Architecture.RISCV32: ("semihosting.c", "protect.c"),
    Architecture.XTENSA: ("simcall.c",),
}


def build_firmware(
    files: Mapping[str, str],
    name: str,
    board: Board,
    build: Build,
    directory: Path,
    *,
    toolchain: Toolchain | None = None,
    platform: Platform | None = None,
) -> Firmware:
    """Compiles `{name}.c`, `{name}_weights.c` and the self-test in `directory`; `platform` defaults to the board's."""
    write_sources(files, name, directory)
    _write_model_header(files, name, directory)
    if platform is Platform.HOST:
        return _build_host(name, board, build, directory)
    toolchain = toolchain or find_toolchain(board.target)
    platform = platform or board_platform(board, toolchain)
    if platform is not board_platform(board, toolchain):
        raise ToolError(f"firmware: board {board.name} cannot be built for {platform.value} by {toolchain.name}.")
    objects = compile_objects(
        board,
        directory,
        toolchain,
        generated=(name, f"{name}_weights"),
        sources=(*start_sources(board, toolchain, platform), *_STREAMS[board.target.architecture], "main.c"),
        define=(VALIDATE,) if build is Build.VALIDATION else (),
    )
    elf = link(objects, board, directory, toolchain, platform)
    known = build is Build.RELEASE and elf_reader_version() is not None
    stack = stack_bound(directory, name, toolchain) if known else None
    return Firmware(
        elf, board, build, toolchain.name, name, platform, stack_bound_bytes=stack.stack_bytes if stack else None
    )


def link(
    objects: Sequence[str], board: Board, directory: Path, toolchain: Toolchain, platform: Platform = Platform.BOARD
) -> Path:
    """Links objects at the addresses of the platform; the ELF file."""
    script = directory / "link.ld"
    script.write_text(linker_script(board, platform), encoding="utf-8")
    options = link_options(board.target, toolchain, script.name, ENTRY[board.target.architecture])
    # GCC's run-time support comes last, where it can resolve what the objects need.
    support = () if toolchain.family is Family.ZIG else ("-lgcc",)
    try:
        call((*toolchain.command, *options, *objects, *support, "-o", "firmware.elf"), directory)
    except ToolError as error:
        raise _explain_link(error, board) from error
    elf = directory / "firmware.elf"
    if loader_sources(board, platform):
        seal(elf, board)
    return elf


def write_sources(
    files: Mapping[str, str], name: str, directory: Path, *, required: Sequence[str] = (".h", ".c", "_weights.c")
) -> None:
    """Writes the generated files; those that end in `required` must be there."""
    for suffix in required:
        if f"{name}{suffix}" not in files:
            raise ValueError(f"{name}{suffix} is missing among the generated files {sorted(files)}")
    directory.mkdir(parents=True, exist_ok=True)
    for file_name, text in files.items():
        (directory / file_name).write_text(text, encoding="utf-8", newline="\n")


def arena_section(name: str) -> tuple[str, ...]:
    """Where the arena lies, as lines of C: what the model's header says, if it says anything."""
    macro = f"{name.upper()}_ARENA_SECTION"
    return (f"#ifndef {macro}", f"#define {macro}", "#endif", f"#define TINYGEN_ARENA_SECTION {macro}")


def _write_model_header(files: Mapping[str, str], name: str, directory: Path) -> None:
    """The one file through which the generic self-test knows its model."""
    lines = [
        f'#include "{name}.h"',
        f"#define TINYGEN_ARENA_BYTES {name.upper()}_ARENA_BYTES",
        *arena_section(name),
        f"#define TINYGEN_RUN {name}_run",
        f"#define TINYGEN_INPUT {name}_input",
        f"#define TINYGEN_OUTPUT {name}_output",
        f"#define TINYGEN_VALIDATE_STEP {name}_validate_step",
    ]
    if re.search(rf"\b{re.escape(name)}_push_row\s*\(", files[f"{name}.h"]):
        lines += [
            *(f"#define TINYGEN_{call.upper()} {name}_{call}" for call in ("begin", "push_row", "finish")),
            *(f"#define TINYGEN_{size} {name.upper()}_{size}" for size in ("INPUT_ROWS", "INPUT_ROW_BYTES")),
        ]
    counts = re.findall(rf"#define {re.escape(name.upper())}_(?:INPUTS|OUTPUTS) (\d+)", files[f"{name}.h"])
    lines.append(f"#define TINYGEN_MAX_TENSORS {max([16, *map(int, counts)])}u")
    if re.search(rf"\b{re.escape(name)}_init\s*\(", files[f"{name}.h"]):
        lines.append(f"#define TINYGEN_INIT {name}_init")
    (directory / "tinygen_model.h").write_text("\n".join(lines) + "\n", encoding="utf-8")


def compile_objects(
    board: Board,
    directory: Path,
    toolchain: Toolchain,
    *,
    generated: Sequence[str],
    sources: Sequence[str],
    define: Sequence[str],
) -> list[str]:
    """Compiles generated C (stems of files in `directory`) and `sources` of `firmware/`; the names of the objects."""
    firmware = resource_path("firmware")
    base = (*toolchain.command, *compile_options(board.target, toolchain), "-c")
    # -idirafter: our string.h is found only where the compiler has none of its own.
    includes = ("-I", ".", "-I", str(firmware), "-idirafter", str(firmware / "include"))
    commands, objects = [], []
    for stem in generated:
        level = (*generated_options(toolchain), *stack_options(toolchain))
        commands.append((*base, *level, *define, *includes, f"{stem}.c", "-o", f"{stem}.o"))
        objects.append(f"{stem}.o")
    for source in sources:
        target = f"tinygen_{Path(source).stem}.o"
        # memory.c is what kernels call; turning its loops into calls of itself must be forbidden.
        level = (*KERNELS, "-fno-builtin", *_no_loop_calls(toolchain)) if source == "memory.c" else GLUE
        strict = STRICT if source.endswith(".c") else ()
        commands.append((*base, *level, *strict, *define, *includes, str(firmware / source), "-o", target))
        objects.append(target)
    call_all(commands, directory)
    return objects


def _no_loop_calls(toolchain: Toolchain) -> tuple[str, ...]:
    clang = toolchain.family in (Family.ZIG, Family.XTENSA_LLVM)
    return () if clang else ("-fno-tree-loop-distribute-patterns",)


def _explain_link(error: ToolError, board: Board) -> Exception:
    """A region that overflowed is the model's or the board's size, not the tool's failure."""
    found = re.search(r"region [`'](\w+)'.*?overflowed by (\d+) bytes", str(error))
    if not found:
        return error
    memory = next((m for m in board.memories if region(m) == found[1]), board.ram)
    return DoesNotFitError(
        f"board {board.name}: the firmware needs {int(found[2])} bytes more than its {memory.name} of "
        f"{memory.size_bytes} bytes has (the self-test keeps {board.stack_bytes} bytes of RAM for its stack). "
        "Choose a smaller model or another board."
    )


def _build_host(name: str, board: Board, build: Build, directory: Path) -> Firmware:
    """A native program; the first compiler that can link the sanitizers wins."""
    compilers = find_host_compilers()
    if not compilers:
        raise ToolError(
            "toolchain: no native C compiler was found. Install one: apt install gcc; or pip install ziglang."
        )
    firmware = resource_path("firmware")
    sources = [f"{name}.c", f"{name}_weights.c", *(str(firmware / s) for s in ("main.c", "stdio.c"))]
    define = (VALIDATE,) if build is Build.VALIDATION else ()
    common = (
        HOST_OPTIMIZATION,
        "-g",
        *STRICT,
        "-fno-sanitize-recover=all",
        "-fno-omit-frame-pointer",
        "-DTINYGEN_HOST",
        *define,
        "-I",
        ".",
        "-I",
        str(firmware),
        *sources,
        "-o",
        "firmware.host",
    )
    failures = []
    for compiler in compilers:
        zig = compiler[-1] == "cc" and len(compiler) > 1
        # zig ships no AddressSanitizer run-time; undefined behaviour traps there without a message.
        sanitizers = ("undefined",) if zig else ("address", "undefined")
        trap = ("-fsanitize-trap=undefined",) if zig else ()
        try:
            call((*compiler, f"-fsanitize={','.join(sanitizers)}", *trap, *common), directory)
        except ToolError as error:
            failures.append(error)
            continue
        label = "zig" if zig else Path(compiler[0]).name
        return Firmware(directory / "firmware.host", board, build, label, name, Platform.HOST, sanitizers)
    raise failures[0]
