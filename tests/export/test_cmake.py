"""The CMake project configures, builds and passes here, and its toolchain files cross-compile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export.projects import GESTURE, KWS, bundle, write_project
from tinygen import load_board
from tinygen.boards import board_names
from tinygen.export import ProjectKind, export_project, next_command
from tinygen.targets import Architecture

COMPILERS = {
    Architecture.ARM_M: ("arm-none-eabi-", "apt install gcc-arm-none-eabi"),
    Architecture.RISCV32: ("riscv64-unknown-elf-", "apt install gcc-riscv64-unknown-elf"),
    Architecture.XTENSA: ("xtensa-lx106-elf-", "apt install gcc-xtensa-lx106"),
}


def cmake(folder: Path, *arguments: str) -> str:
    """`cmake ...` or, with ctest as the first word, `ctest ...` in a folder; what it printed."""
    program = "ctest" if arguments[0] == "ctest" else "cmake"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # first what pip installed
    found = shutil.which(program, path=path)
    if found is None or shutil.which("ninja", path=path) is None:
        pytest.skip(f"{program} or ninja is missing: pip install cmake ninja")
    if shutil.which("cc") is None:
        pytest.skip("a native C compiler is missing: apt install gcc")
    words = arguments[1:] if program == "ctest" else arguments
    environment = {**os.environ, "PATH": path, "CMAKE_GENERATOR": "Ninja"}
    environment.pop("CFLAGS", None)
    done = subprocess.run(
        [found, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("shared", [False, True], ids=["own arenas", "shared arena"])
def test_the_host_test_passes(shared: bool, tmp_path: Path) -> None:
    project = bundle("mps2-an386", KWS, GESTURE, shared_arena=shared)
    folder = write_project(ProjectKind.CMAKE, project, tmp_path / "a project")
    cmake(folder, "-B", "build", "-DCMAKE_C_FLAGS=-Wall -Wextra -Wconversion -Werror")
    cmake(folder, "--build", "build")
    printed = cmake(folder / "build", "ctest", "--verbose")
    assert "TINYGEN PASS kws inputs=1 layers=14" in printed
    assert "TINYGEN PASS gesture inputs=1 layers=13" in printed


def test_the_host_test_fails_when_a_weight_is_wrong(tmp_path: Path) -> None:
    folder = write_project(ProjectKind.CMAKE, bundle("mps2-an386", GESTURE), tmp_path / "wrong")
    source = folder / "gesture" / "src" / "gesture_selftest.c"
    text = source.read_text()
    start = text.index("expected[INFERENCES][TENSORS]")
    at = text.index("0x", start) + 2
    source.write_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :])
    cmake(folder, "-B", "build")
    cmake(folder, "--build", "build")
    with pytest.raises(AssertionError, match="TINYGEN FAIL gesture"):
        cmake(folder / "build", "ctest", "--verbose")


def test_the_commands_that_are_written_down_are_of_the_cmake_that_the_project_asks_for() -> None:
    project = bundle("nano33", GESTURE)
    files = export_project(ProjectKind.CMAKE, project)
    assert "cmake_minimum_required(VERSION 3.16)" in files["CMakeLists.txt"]
    written = [files["README.md"], files["cmake/nano33.cmake"], next_command(ProjectKind.CMAKE, project, "out")]
    for since_3_20 in ("--test-dir", "--toolchain", "--install-prefix", "--preset"):
        assert not any(since_3_20 in text for text in written)


def test_another_project_links_the_target_without_the_test(tmp_path: Path) -> None:
    write_project(ProjectKind.CMAKE, bundle("mps2-an386", KWS), tmp_path / "kws_mps2-an386")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(mine C)\nadd_subdirectory(kws_mps2-an386)\n"
        "add_executable(mine main.c)\ntarget_link_libraries(mine PRIVATE tinygen::kws)\n"
    )
    (tmp_path / "main.c").write_text(
        '#include "kws.h"\nKWS_STATIC_ARENA(arena);\nint main(void) { kws_run(arena); return 0; }\n'
    )
    cmake(tmp_path, "-B", "build")
    cmake(tmp_path, "--build", "build")
    assert b"TINYGEN" not in (tmp_path / "build" / "mine").read_bytes()


def build_cross(board: str, folder: Path, *options: str) -> list[str]:
    """Configure and build with the board's toolchain file and nothing else; the commands of the compiler."""
    write_project(ProjectKind.CMAKE, bundle(board, GESTURE), folder)
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE=cmake/{board}.cmake"
    cmake(folder, "-B", "build", toolchain, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    cmake(folder, "--build", "build")
    assert (folder / "build" / "gesture" / "libtinygen_gesture.a").stat().st_size > 10_000
    return [entry["command"] for entry in json.loads((folder / "build" / "compile_commands.json").read_text())]


ONE_BOARD_A_CPU = {load_board(name).target.name: name for name in reversed(board_names())}


@pytest.mark.parametrize("board", ONE_BOARD_A_CPU.values())
def test_the_toolchain_file_alone_cross_compiles_for_the_boards_cpu(board: str, tmp_path: Path) -> None:
    target = load_board(board).target
    prefix, install = COMPILERS[target.architecture]
    if shutil.which(f"{prefix}gcc") is None:
        pytest.skip(f"{prefix}gcc is missing: {install}")
    # Espressif's compilers are in no package; Debian's for the same instructions take the same options
    commands = build_cross(board, tmp_path / "a project", f"-DTINYGEN_COMPILER_PREFIX={prefix}")
    flags = " ".join(("-mlongcalls",) if target.architecture is Architecture.XTENSA else target.gcc_flags)
    assert all(f" {flags} " in command for command in commands)


def test_a_compiler_without_any_c_library_has_what_the_models_need(tmp_path: Path) -> None:
    prefix, install = COMPILERS[Architecture.RISCV32]
    if shutil.which(f"{prefix}gcc") is None:
        pytest.skip(f"{prefix}gcc is missing: {install}")
    bare = tmp_path / "bare-gcc"  # with picolibc installed, too
    bare.write_text(
        f'#!/bin/sh\ncase "$1" in -print-file-name=*) echo "${{1#*=}}" ;; *) exec {prefix}gcc "$@" ;; esac\n'
    )
    bare.chmod(0o755)
    commands = build_cross("riscv-virt", tmp_path / "a project", f"-DTINYGEN_COMPILER_PREFIX={tmp_path}/bare-")
    assert all(" -ffreestanding " in command for command in commands)


@pytest.mark.parametrize(
    ("board", "prefix"),
    [
        ("nano33", "arm-none-eabi-"),
        ("riscv-virt", "riscv64-unknown-elf-"),
        ("esp32c3", "riscv32-esp-elf-"),
        ("esp32s3", "xtensa-esp32s3-elf-"),
    ],
)
def test_the_compiler_is_the_one_that_a_boards_users_have(board: str, prefix: str) -> None:
    text = export_project(ProjectKind.CMAKE, bundle(board, GESTURE))[f"cmake/{board}.cmake"]
    assert f'set(TINYGEN_COMPILER_PREFIX "{prefix}" CACHE' in text


@pytest.mark.parametrize("board", board_names())
def test_every_board_has_a_toolchain_file(board: str) -> None:
    text = export_project(ProjectKind.CMAKE, bundle(board, GESTURE))[f"cmake/{board}.cmake"]
    assert "set(CMAKE_SYSTEM_NAME Generic)" in text
    assert '_COMPILER_PREFIX "' in text
