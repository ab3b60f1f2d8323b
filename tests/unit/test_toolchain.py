"""Compilers: which one is taken, what is said when there is none; linker scripts; names that a build must survive."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulation import toy
from tinygen.boards import Board, MemoryKind, board_names, load_board
from tinygen.emit import c_identifier
from tinygen.errors import ToolError
from tinygen.targets import Architecture, Family, Target, find_target
from tinygen.toolchain import (
    Build,
    Platform,
    build_firmware,
    build_selftest,
    find,
    find_host_compilers,
    find_toolchain,
    survey,
)
from tinygen.toolchain.find import find_family
from tinygen.toolchain.linker import SIM_RAM_ORIGIN, SIM_ROM, WINDOWED_SIM_PAGE_BYTES, linker_script
from tinygen.toolchain.run import call, call_all, excerpt

ARM, RISCV, XTENSA = (find_target(name) for name in ("cortex-m4f", "rv32imc", "xtensa-lx6"))


XTENSA_BOARDS = [name for name in board_names() if load_board(name).target.architecture is Architecture.XTENSA]


class Machine:
    """A computer with an empty PATH, no PlatformIO and no zig from pip, until a test puts something there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.path, self.packages = folder / "path", folder / "platformio" / "packages"
        self.path.mkdir()
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", str(self.path))
        monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(folder / "platformio"))
        monkeypatch.delenv("PLATFORMIO_PACKAGES_DIR", raising=False)
        monkeypatch.setenv("IDF_TOOLS_PATH", str(folder / "espressif"))
        self.pip_has_zig(False)

    def pip_has_zig(self, is_there: bool) -> None:
        real = importlib.util.find_spec

        def find_spec(name: str) -> object:
            return real(name) if name != "ziglang" else object() if is_there else None

        self.monkeypatch.setattr("importlib.util.find_spec", find_spec)

    def program(self, name: str, *, folder: Path | None = None, says: str = "9.9.9", code: int = 0) -> Path:
        """A compiler that tells a version."""
        file = (folder or self.path) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\necho "{name} (fake 1:1.0-1) {says}"\nexit {code}\n')
        file.chmod(0o755)
        return file

    def esp_idf(self, name: str, version: str, program: str) -> Path:
        return self.program(program, folder=self.folder / "espressif" / "tools" / name / version / name / "bin")

    def llvm(self, suffix: str, release: str, targets: str = "xtensa - Xtensa 32") -> None:
        """clang, llc and llvm-mc of one release."""
        for program in ("clang", "llc", "llvm-mc"):
            file = self.program(f"{program}{suffix}")
            file.write_text(f"#!/bin/sh\necho 'Debian LLVM version {release}'\necho '  {targets}'\n")

    def package(self, name: str, program: str, **options: object) -> Path:
        return self.program(program, folder=self.packages / name / "bin", **options)  # type: ignore[arg-type]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    if not Path("/bin/sh").exists():
        pytest.skip("/bin/sh is missing: this test needs Unix")
    caches = (find_family, find_host_compilers, find._version, find._knows_xtensa)
    for cached in caches:
        cached.cache_clear()
    yield Machine(tmp_path, monkeypatch)
    for cached in caches:
        cached.cache_clear()


# --- which compiler -----------------------------------------------------------------------------------------------


def test_gcc_on_path_is_preferred_to_everything(machine: Machine) -> None:
    gcc = machine.program("arm-none-eabi-gcc", says="12.2.1 20221205")
    machine.program("zig", says="0.15.1")
    machine.package("toolchain-gccarmnoneeabi", "arm-none-eabi-gcc")
    found = find_toolchain(ARM)
    assert (found.family, found.command, found.source) == (Family.ARM_GCC, (str(gcc),), "PATH")
    assert found.name == "arm-none-eabi-gcc 12.2.1"


def test_gcc_of_platformio_is_preferred_to_zig(machine: Machine) -> None:
    gcc = machine.package("toolchain-gccarmnoneeabi", "arm-none-eabi-gcc")
    machine.program("zig")
    found = find_toolchain(ARM)
    assert (found.command, found.source) == ((str(gcc),), "PlatformIO")


def test_platformios_packages_may_lie_in_a_folder_of_their_own(machine: Machine, tmp_path: Path) -> None:
    machine.monkeypatch.setenv("PLATFORMIO_PACKAGES_DIR", str(tmp_path / "elsewhere"))
    gcc = machine.program("arm-none-eabi-gcc", folder=tmp_path / "elsewhere" / "toolchain-gccarmnoneeabi@1.2" / "bin")
    assert find_toolchain(ARM).command == (str(gcc),)


def test_the_newest_package_of_platformio_is_taken(machine: Machine) -> None:
    for version in ("1.70201.0", "1.120301.0", "1.90301.200702"):
        machine.package(f"toolchain-gccarmnoneeabi@{version}", "arm-none-eabi-gcc", says=version)
    assert "@1.120301.0" in find_toolchain(ARM).command[0]


def test_zig_is_taken_where_there_is_no_gcc(machine: Machine) -> None:
    zig = machine.program("zig", says="0.15.1")
    assert find_toolchain(ARM).command == (str(zig), "cc")
    assert find_toolchain(RISCV).family is Family.ZIG


def test_zig_on_path_is_preferred_to_zig_from_pip(machine: Machine) -> None:
    machine.pip_has_zig(True)
    zig = machine.program("zig")
    assert find_toolchain(ARM).command == (str(zig), "cc")


def test_any_of_the_names_of_riscvs_gcc_will_do(machine: Machine) -> None:
    esp = machine.program("riscv32-esp-elf-gcc")
    machine.program("zig")
    assert find_toolchain(RISCV).command == (str(esp),)


def test_a_compiler_that_cannot_run_hides_none_that_can(machine: Machine) -> None:
    machine.program("arm-none-eabi-gcc", code=1)
    gcc = machine.package("toolchain-gccarmnoneeabi", "arm-none-eabi-gcc")
    machine.program("zig")
    assert find_toolchain(ARM).command == (str(gcc),)


@pytest.mark.parametrize(("target", "chip"), [(XTENSA, "esp32"), (find_target("xtensa-lx7"), "esp32s3")])
def test_espressifs_gcc_is_found_wherever_its_users_have_it(target: Target, chip: str, machine: Machine) -> None:
    machine.llvm("-22", "22.1.8")
    machine.program("xtensa-lx106-elf-ld")
    assert find_toolchain(target).family is Family.XTENSA_LLVM
    old = machine.esp_idf(f"xtensa-{chip}-elf", "esp-12.2.0_20230208", f"xtensa-{chip}-elf-gcc")
    find_family.cache_clear()
    assert (find_toolchain(target).command, find_toolchain(target).source) == ((str(old),), "ESP-IDF")
    machine.esp_idf("xtensa-esp-elf", "esp-13.2.0_20240530", f"xtensa-{chip}-elf-gcc")
    new = machine.esp_idf("xtensa-esp-elf", "esp-14.2.0_20241119", f"xtensa-{chip}-elf-gcc")
    find_family.cache_clear()
    assert find_toolchain(target).command == (str(new),), "the newest"
    package = machine.package(f"toolchain-xtensa-{chip}", f"xtensa-{chip}-elf-gcc")
    find_family.cache_clear()
    assert (find_toolchain(target).command, find_toolchain(target).source) == ((str(package),), "PlatformIO")
    bare = machine.program("xtensa-esp-elf-gcc")
    find_family.cache_clear()
    assert find_toolchain(target).command == (str(bare), f"-mdynconfig=xtensa_{chip}.so")
    own = machine.program(f"xtensa-{chip}-elf-gcc")
    find_family.cache_clear()
    assert find_toolchain(target).command == (str(own),)


def test_another_chips_gcc_of_platformio_is_not_taken(machine: Machine) -> None:
    machine.package("toolchain-xtensa-esp32s3", "xtensa-esp32s3-elf-gcc")
    with pytest.raises(ToolError, match="no compiler for xtensa-lx6 was found"):
        find_toolchain(XTENSA)


def test_the_newest_llvm_that_knows_xtensa_is_taken(machine: Machine) -> None:
    machine.program("xtensa-lx106-elf-gcc")
    machine.llvm("-21", "21.1.0")  # without windowed ABI
    machine.llvm("", "24.1.0", targets="x86-64")  # as upstream builds it
    machine.program("xtensa-lx106-elf-ld")
    assert find_toolchain(XTENSA).family is Family.XTENSA_GCC
    machine.llvm("-22", "22.1.8")
    machine.llvm("-23", "23.1.0")
    find_family.cache_clear()
    found = find_toolchain(XTENSA)
    assert [Path(word).name for word in found.command[-4:]] == [
        "clang-23",
        "llc-23",
        "llvm-mc-23",
        "xtensa-lx106-elf-ld",
    ]
    assert found.family is Family.XTENSA_LLVM


def test_llvm_without_a_linker_for_xtensa_is_not_taken(machine: Machine) -> None:
    machine.llvm("-22", "22.1.8")
    with pytest.raises(ToolError, match="binutils-xtensa-lx106"):
        find_toolchain(XTENSA)


@pytest.mark.parametrize("found", [(), ("xtensa-lx106-elf-gcc",)], ids=["no compiler", "lx106 alone"])
def test_a_self_test_names_only_compilers_that_it_takes(found: tuple[str, ...], machine: Machine) -> None:
    for name in found:
        machine.program(name)
    with pytest.raises(ToolError) as refused:
        build_selftest({}, "kws", load_board("esp32"), machine.folder)
    assert "clang-22 llvm-22 binutils-xtensa-lx106" in str(refused.value)
    assert "gcc-xtensa-lx106" not in str(refused.value)


@pytest.mark.parametrize("prefer", ["zig", "gcc", "arm-none-eabi-gcc"])
def test_the_preferred_family_is_taken(prefer: str, machine: Machine) -> None:
    machine.program("arm-none-eabi-gcc")
    machine.program("zig")
    assert find_toolchain(ARM, prefer=prefer).family is (Family.ZIG if prefer == "zig" else Family.ARM_GCC)


# --- none ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "ways"),
    [
        (ARM, ("apt install gcc-arm-none-eabi", "PlatformIO", "pip install ziglang")),
        (RISCV, ("apt install gcc-riscv64-unknown-elf", "pip install ziglang")),
        (XTENSA, ("ESP-IDF", "apt install clang-22 llvm-22", "apt install gcc-xtensa-lx106")),
    ],
    ids=["arm", "riscv", "xtensa"],
)
def test_a_missing_compiler_is_told_with_every_way_to_get_one(target, ways, machine: Machine) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ToolError) as caught:
        find_toolchain(target)
    message = str(caught.value)
    assert f"no compiler for {target.name} was found" in message and "tinygen doctor" in message
    assert all(way in message for way in ways)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("target", "prefer"), [(XTENSA, "zig"), (ARM, "clang"), (RISCV, "arm-none-eabi-gcc")])
def test_a_preference_that_does_not_build_for_the_target_is_told(target, prefer: str, machine: Machine) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ToolError, match=f"'{prefer}' does not build for {target.name}. Known for it: "):
        find_toolchain(target, prefer=prefer)


def test_a_missing_native_compiler_is_told(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no native C compiler was found. Install one: apt install gcc; or pip"):
        build_firmware(
            toy.FILES, toy.NAME, load_board("nano33"), Build.RELEASE, tmp_path / "out", platform=Platform.HOST
        )


def test_the_doctor_lists_every_compiler_found_or_not_with_the_way_to_get_it(machine: Machine) -> None:
    machine.program("arm-none-eabi-gcc", says="12.2.1")
    rows = {tool.name: tool for tool in survey()}
    compilers = {*(family.value for family in Family), "native C compiler"}
    assert rows.keys() >= compilers
    assert {name for name in compilers if rows[name].version} == {"arm-none-eabi-gcc"}
    assert all(re.search(r"apt install|pip install", tool.install) for tool in rows.values())


# --- a compiler that fails ----------------------------------------------------------------------------------------


def test_a_failed_call_shows_the_first_error_and_the_command(machine: Machine, tmp_path: Path) -> None:
    program = machine.program("cc", says="a.c:1:2: error: wrong", code=3)
    with pytest.raises(ToolError, match=r'cc failed with exit code 3 in .*\n.*error: wrong\ncommand: .*cc -c "a b\.c"'):
        call([str(program), "-c", "a b.c"], tmp_path)
    with pytest.raises(ToolError, match="exit code 3"):
        call_all([[str(machine.program("ok"))], [str(program)]], tmp_path)


def test_a_compiler_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="absent: cannot be started: No such file"):
        call([str(tmp_path / "absent")], tmp_path)


def test_an_excerpt_begins_at_the_first_error_else_it_is_the_end() -> None:
    lines = [f"line {n}" for n in range(40)]
    assert excerpt("\n".join(lines)).splitlines() == lines[-12:]
    assert excerpt("\n".join([*lines[:20], "x.c: error: y", *lines[20:]])).splitlines()[:2] == [
        "x.c: error: y",
        "line 20",
    ]


# --- linker scripts -----------------------------------------------------------------------------------------------


def regions(board: Board, platform: Platform = Platform.BOARD) -> dict[str, tuple[int, int]]:
    script = linker_script(board, platform)
    found = re.findall(r"^  (\w+)_memory : ORIGIN = (0x\w+), LENGTH = (0x\w+)$", script, flags=re.MULTILINE)
    return {name: (int(origin, 16), int(length, 16)) for name, origin, length in found}


def symbols(board: Board) -> dict[str, int]:
    found = re.findall(r"^(_\w+) = (0x\w+);$", linker_script(board), flags=re.MULTILINE)
    return {name: int(value, 16) for name, value in found}


@pytest.mark.parametrize("name", board_names())
def test_a_linker_script_holds_the_boards_memories(name: str) -> None:
    board = load_board(name)
    windows = [MemoryKind.CONSTANTS]
    if board.target.architecture is Architecture.XTENSA:
        windows.append(MemoryKind.INSTRUCTION_RAM)
    used = [board.flash, board.ram, *filter(None, map(board.window, windows))]
    used += [memory for memory in board.memories if memory.kind in (MemoryKind.RAM, MemoryKind.FLASH)]
    assert regions(board) == {memory.name: (memory.origin, memory.size_bytes) for memory in used}


@pytest.mark.parametrize("name", XTENSA_BOARDS)
def test_the_small_cores_script_holds_the_sim_machine_with_as_much_ram_as_the_board(name: str) -> None:
    board = load_board(name)
    expected = {"flash": (SIM_ROM.origin, SIM_ROM.size_bytes), "ram": (SIM_RAM_ORIGIN, board.ram_bytes)}
    assert regions(board, Platform.XTENSA_SIM) == expected


@pytest.mark.parametrize("name", XTENSA_BOARDS)
def test_the_windowed_sims_script_holds_the_boards_memories_each_on_a_page_of_its_own(name: str) -> None:
    board = load_board(name)
    own, sim = regions(board), regions(board, Platform.XTENSA_WINDOWED_SIM)
    assert sim.pop("reset")[0] == 0xFE000000, "where the core begins"
    assert {name: size for name, (_, size) in sim.items()} == {name: size for name, (_, size) in own.items()}
    origins = [origin for origin, _ in sim.values()]
    assert all(origin % WINDOWED_SIM_PAGE_BYTES == 0 for origin in origins) and 0 not in origins
    assert len(set(origins)) == len(origins) and max(origins) + WINDOWED_SIM_PAGE_BYTES <= 128 << 20


@pytest.mark.parametrize("name", board_names())
def test_the_stack_lies_at_the_bottom_of_ram(name: str) -> None:
    board = load_board(name)
    found = symbols(board)
    assert found["_stack_bottom"] == found["_ram_start"] == regions(board)["ram"][0]
    assert found["_stack_top"] - found["_stack_bottom"] == board.stack_bytes
    assert found["_ram_end"] - found["_ram_start"] == board.ram_bytes


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["string", "stdint", "io", "link", "firmware", "tinygen_model", "tinygen_main"])
def test_a_model_may_be_called_like_a_file_of_the_firmware(text: str, tmp_path: Path) -> None:
    name = c_identifier(text)
    files = {
        file.replace(toy.NAME, name): source.replace(toy.NAME, name).replace(toy.NAME.upper(), name.upper())
        for file, source in toy.FILES.items()
    }
    board = load_board("nano33")
    try:
        toolchain = find_toolchain(board.target)
    except ToolError as missing:
        pytest.skip(str(missing))
    assert build_firmware(files, name, board, Build.VALIDATION, tmp_path, toolchain=toolchain).elf.is_file()
