"""Builds the self-test firmware around generated C, for an emulator or for this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tinygen.boards import Board
from tinygen.errors import DoesNotFitError, ToolError
from tinygen.resources import resource_path
from tinygen.targets import Architecture, Family
from tinygen.toolchain.find import Toolchain, find_host_compilers, find_toolchain
from tinygen.toolchain.linker import linker_script
from tinygen.toolchain.options import GLUE, KERNELS, STRICT, Build, compile_options, generated_options, link_options
from tinygen.toolchain.run import call, call_all

VALIDATE = "-DTINYGEN_VALIDATE"


class Platform(Enum):
    """What the firmware is linked for."""

    BOARD = "board"  # the board's own addresses, semihosting: Unicorn and QEMU
    XTENSA_SIM = "xtensa-sim"  # QEMU's sim machine, simcalls
    HOST = "host"  # a native program under the sanitizers
    SELF_TEST = "self-test"  # the board's own addresses and console, vectors inside: emulators and the real board


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


_SOURCES: dict[Architecture, tuple[str, ...]] = {
    Architecture.ARM_M: ("start_arm_m.c", "semihosting.c", "protect.c", "main.c", "memory.c"),
    Architecture.RISCV32: ("start_riscv.S", "semihosting.c", "protect.c", "main.c", "memory.c"),
    Architecture.XTENSA: ("start_xtensa.S", "simcall.c", "main.c", "memory.c", "xtensa_arithmetic.c"),
}
_ENTRY: dict[Architecture, str] = {
    Architecture.ARM_M: "Reset_Handler",
    Architecture.RISCV32: "_start",
    Architecture.XTENSA: "_start",
}


def board_platform(board: Board) -> Platform:
    """What a firmware for the board's emulators is linked for."""
    return Platform.XTENSA_SIM if board.target.architecture is Architecture.XTENSA else Platform.BOARD


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
    platform = platform or board_platform(board)
    write_sources(files, name, directory)
    _write_model_header(files, name, directory)
    if platform is Platform.HOST:
        return _build_host(name, board, build, directory)
    if platform is not board_platform(board):
        raise ToolError(f"firmware: board {board.name} cannot be built for {platform.value}.")
    toolchain = toolchain or find_toolchain(board.target)
    objects = compile_objects(
        board,
        directory,
        toolchain,
        generated=(name, f"{name}_weights"),
        sources=_SOURCES[board.target.architecture],
        define=(VALIDATE,) if build is Build.VALIDATION else (),
    )
    return Firmware(link(objects, board, directory, toolchain), board, build, toolchain.name, name, platform)


def link(objects: Sequence[str], board: Board, directory: Path, toolchain: Toolchain) -> Path:
    """Links objects at the board's addresses; the ELF file."""
    script = directory / "link.ld"
    script.write_text(linker_script(board), encoding="utf-8")
    options = link_options(board.target, toolchain, script.name, _ENTRY[board.target.architecture])
    # GCC's run-time support comes last, where it can resolve what the objects need.
    support = () if toolchain.family is Family.ZIG else ("-lgcc",)
    try:
        call((*toolchain.command, *options, *objects, *support, "-o", "firmware.elf"), directory)
    except ToolError as error:
        raise _explain_link(error, board) from error
    return directory / "firmware.elf"


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


def _write_model_header(files: Mapping[str, str], name: str, directory: Path) -> None:
    """The one file through which the generic self-test knows its model."""
    lines = [
        f'#include "{name}.h"',
        f"#define TINYGEN_ARENA_BYTES {name.upper()}_ARENA_BYTES",
        f"#define TINYGEN_RUN {name}_run",
        f"#define TINYGEN_INPUT {name}_input",
        f"#define TINYGEN_OUTPUT {name}_output",
        f"#define TINYGEN_VALIDATE_STEP {name}_validate_step",
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
        commands.append((*base, *generated_options(toolchain), *define, *includes, f"{stem}.c", "-o", f"{stem}.o"))
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
    return () if toolchain.family is Family.ZIG else ("-fno-tree-loop-distribute-patterns",)


def _explain_link(error: ToolError, board: Board) -> Exception:
    """A region that overflowed is the model's or the board's size, not the tool's failure."""
    found = re.search(r"region [`'](\w+)'.*?overflowed by (\d+) bytes", str(error))
    if not found:
        return error
    memory = next((m for m in board.memories if m.name == found[1]), board.ram)
    return DoesNotFitError(
        f"board {board.name}: the firmware needs {int(found[2])} bytes more than its {found[1]} of "
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
        "-O1",
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
