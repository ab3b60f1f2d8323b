"""Finds compilers: on PATH, in PlatformIO's packages, and zig from pip."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinygen.errors import ToolError
from tinygen.targets import Family, Target
from tinygen.toolchain.cache import cache_dir
from tinygen.toolchain.elf import INSTALL, elf_reader_version


@dataclass(frozen=True, slots=True)
class Tool:
    """One row of `tinygen doctor`: a tool, whether it is here, what for, and how to get it."""

    name: str
    version: str | None  # None: not found
    path: str
    purpose: str
    install: str


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler that was found, ready to be called for a target."""

    family: Family
    command: tuple[str, ...]  # what to put before the options
    version: str
    source: str  # where it was found: PATH, PlatformIO, pip

    @property
    def name(self) -> str:
        """Name and version, as reports print it."""
        return f"{self.family.value} {self.version}"


# Names a family goes by, in order of preference, and PlatformIO's packages that bring it.
_PROGRAMS: dict[Family, tuple[str, ...]] = {
    Family.ARM_GCC: ("arm-none-eabi-gcc",),
    Family.RISCV_GCC: (
        "riscv64-unknown-elf-gcc",
        "riscv32-unknown-elf-gcc",
        "riscv-none-elf-gcc",
        "riscv32-esp-elf-gcc",
    ),
    # the name before GCC 13, since then a wrapper around xtensa-esp-elf-gcc, which also does as long as it is told
    Family.ESP32_GCC: ("xtensa-esp32-elf-gcc", "xtensa-esp-elf-gcc"),
    Family.ESP32S3_GCC: ("xtensa-esp32s3-elf-gcc", "xtensa-esp-elf-gcc"),
    Family.XTENSA_LLVM: ("llc",),
    Family.XTENSA_GCC: ("xtensa-lx106-elf-gcc",),
    Family.ZIG: ("zig",),
}
_PLATFORMIO: dict[Family, tuple[str, ...]] = {
    Family.ARM_GCC: ("toolchain-gccarmnoneeabi*",),
    Family.RISCV_GCC: ("toolchain-riscv*",),
    Family.ESP32_GCC: ("toolchain-xtensa-esp32*", "toolchain-xtensa-esp-elf*"),
    Family.ESP32S3_GCC: ("toolchain-xtensa-esp32s3*", "toolchain-xtensa-esp-elf*"),
    Family.XTENSA_LLVM: (),
    Family.XTENSA_GCC: ("toolchain-xtensa",),
    Family.ZIG: (),
}
# ESP-IDF's tools, below IDF_TOOLS_PATH: tools/NAME/VERSION/NAME/bin.
_ESP_IDF: dict[Family, tuple[str, ...]] = {
    Family.RISCV_GCC: ("riscv32-esp-elf",),
    Family.ESP32_GCC: ("xtensa-esp-elf", "xtensa-esp32-elf"),
    Family.ESP32S3_GCC: ("xtensa-esp-elf", "xtensa-esp32s3-elf"),
}
# xtensa-esp-elf-gcc builds for any chip of Espressif's; this names the chip.
_DYNAMIC: dict[Family, str] = {
    Family.ESP32_GCC: "-mdynconfig=xtensa_esp32.so",
    Family.ESP32S3_GCC: "-mdynconfig=xtensa_esp32s3.so",
}
_ESPRESSIF = "ESP-IDF's install script, or pip install platformio and build any project for the board once"
_INSTALL: dict[Family, str] = {
    Family.ARM_GCC: "apt install gcc-arm-none-eabi, or any PlatformIO Arm platform (pio pkg install)",
    Family.RISCV_GCC: "apt install gcc-riscv64-unknown-elf",
    Family.ESP32_GCC: _ESPRESSIF,
    Family.ESP32S3_GCC: _ESPRESSIF,
    Family.XTENSA_LLVM: "apt install clang-22 llvm-22 binutils-xtensa-lx106",
    Family.XTENSA_GCC: "apt install gcc-xtensa-lx106",
    Family.ZIG: "pip install ziglang",
}
_PURPOSE: dict[Family, str] = {
    Family.ARM_GCC: "builds for Cortex-M",
    Family.RISCV_GCC: "builds for RV32",
    Family.ESP32_GCC: "builds for ESP32",
    Family.ESP32S3_GCC: "builds for ESP32-S3",
    Family.XTENSA_LLVM: "builds for ESP32 and ESP32-S3 with Debian alone",
    Family.XTENSA_GCC: "builds the code of ESP32 and ESP32-S3 for a smaller core",
    Family.ZIG: "builds for Cortex-M and RV32 with pip alone",
}


def find_toolchain(target: Target, *, prefer: str | None = None, advise: Sequence[Family] = ()) -> Toolchain:
    """The best compiler for `target`; `prefer` names a family (`gcc`, `zig`, or its full name).

    Raises ToolError where there is none; it says how to install one of the families in `advise`, or any.
    """
    families = [f for f in target.families if prefer is None or prefer == f.value or f.value.endswith(f"-{prefer}")]
    for family in families:
        found = find_family(family)
        if found is not None:
            return found
    wanted = advise or families or target.families
    if not families:
        raise ToolError(
            f"toolchain: {prefer!r} does not build for {target.name}. "
            f"Known for it: {', '.join(f.value for f in target.families)}."
        )
    raise ToolError(
        f"toolchain: no compiler for {target.name} was found. {install_hint(target, wanted)} "
        "`tinygen doctor` shows what is found."
    )


def install_hint(target: Target, families: Sequence[Family] = ()) -> str:
    """How to get a compiler for `target`: one of the families given, or any that makes the chip's own code."""
    wanted = families or chip_families(target)
    ways = dict.fromkeys(_INSTALL[family] for family in wanted)
    return f"Install one: {'; or '.join(ways)}."


def chip_families(target: Target) -> tuple[Family, ...]:
    """The families whose code runs on the chip itself: not the one that serves Xtensa chips with a smaller core's."""
    return tuple(family for family in target.families if family is not Family.XTENSA_GCC)


@cache
def find_family(family: Family) -> Toolchain | None:
    """The compiler of a family, wherever it is first found."""
    if family is Family.XTENSA_LLVM:
        commands = xtensa_llvm_commands()
        return next((found for command in commands if (found := _toolchain(family, command, "PATH"))), None)
    places: list[tuple[str | None, str]] = [(None, "PATH")]
    places += [(str(folder / "bin"), "PlatformIO") for folder in platformio_packages(family)]
    places += [(str(folder), "ESP-IDF") for folder in esp_idf_tools(family)]
    for folder, source in places:
        for program in _PROGRAMS[family]:
            path = shutil.which(program, path=folder)
            if path and (found := _toolchain(family, _command(family, path), source)):
                return found
    if family is Family.ZIG and importlib.util.find_spec("ziglang"):
        return _toolchain(family, (sys.executable, "-m", "ziglang", "cc"), "pip")
    return None


def _command(family: Family, path: str) -> tuple[str, ...]:
    """How the program at `path` is called for a family."""
    if family is Family.ZIG:
        return (path, "cc")
    if family in _DYNAMIC and Path(path).stem == "xtensa-esp-elf-gcc":
        return (path, _DYNAMIC[family])
    return (path,)


def xtensa_llvm_commands() -> list[tuple[str, ...]]:
    """Our driver with the programs it calls, for every LLVM on PATH that may know Xtensa, the newest first.

    Before release 22 the back end has no windowed ABI. Upstream builds leave Xtensa out; Debian's have it.
    """
    linker = next(filter(None, map(shutil.which, _XTENSA_LINKERS)), None)
    commands: list[tuple[str, ...]] = []
    for suffix in (*(f"-{release}" for release in range(_LAST_LLVM, _FIRST_LLVM - 1, -1)), ""):
        clang, llc, assembler = (shutil.which(f"{program}{suffix}") for program in ("clang", "llc", "llvm-mc"))
        if clang and llc and assembler and linker and _knows_xtensa(llc):
            driver = str(Path(__file__).with_name("xtensa_llvm.py"))
            # isolated: the driver's folder holds modules that are called like others
            commands.append((sys.executable, "-I", driver, clang, llc, assembler, linker))
    return commands


_FIRST_LLVM, _LAST_LLVM = 22, 39
_XTENSA_LINKERS = ("xtensa-lx106-elf-ld", "xtensa-esp32-elf-ld", "xtensa-esp-elf-ld")


@cache
def _knows_xtensa(llc: str) -> bool:
    try:
        done = subprocess.run((llc, "--version"), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return False
    release = re.search(r"version (\d+)", done.stdout)
    return "xtensa" in done.stdout and release is not None and int(release[1]) >= _FIRST_LLVM


def esp_idf_tools(family: Family) -> list[Path]:
    """Folders with a family's programs among ESP-IDF's tools, the newest first."""
    tools = Path(os.environ.get("IDF_TOOLS_PATH") or Path("~/.espressif").expanduser()) / "tools"
    folders = [folder for name in _ESP_IDF.get(family, ()) for folder in tools.glob(f"{name}/*/{name}/bin")]
    return sorted(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.parts[-3])], reverse=True)


def platformio_packages(family: Family) -> list[Path]:
    """PlatformIO's package folders for a family, by the numbers in their names, the highest first."""
    core = Path(os.environ.get("PLATFORMIO_CORE_DIR") or Path("~/.platformio").expanduser())
    packages = Path(os.environ.get("PLATFORMIO_PACKAGES_DIR") or core / "packages")
    folders: list[Path] = []
    for pattern in _PLATFORMIO[family]:
        folders += packages.glob(pattern)
    return sorted(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.name)], reverse=True)


@cache
def find_host_compilers() -> tuple[tuple[str, ...], ...]:
    """Commands of native C compilers, best first; the last may be zig from pip."""
    found = [(path,) for path in map(shutil.which, ("clang", "gcc", "cc")) if path]
    zig = find_family(Family.ZIG)
    return (*found, zig.command) if zig else tuple(found)


def survey() -> tuple[Tool, ...]:
    """Every compiler tinygen can use, found or not."""
    rows = []
    for family in Family:
        found = find_family(family)
        rows.append(
            Tool(
                name=family.value,
                version=found.version if found else None,
                path=" ".join(found.command) if found else "",
                purpose=_PURPOSE[family],
                install=_INSTALL[family],
            )
        )
    native = find_host_compilers()
    rows.append(
        Tool(
            name="native C compiler",
            version=_version(native[0]) if native else None,
            path=" ".join(native[0]) if native else "",
            purpose="runs models on this machine; fast instruction counts",
            install="apt install gcc, or pip install ziglang",
        )
    )
    rows.append(Tool("pyelftools", elf_reader_version(), "", "measures code, finds functions in firmware", INSTALL))
    return tuple(rows)


def compiler_environment(directory: Path) -> dict[str, str]:
    """The environment for compilers that run in `directory`: English messages, zig's caches where we may write.

    zig's run-time library is cached for all builds, objects only in the build's own folder: from a shared cache zig
    hands out an object that was compiled with the headers of another folder (`-I .` looks alike from everywhere).
    """
    environment = {**os.environ, "LC_ALL": "C", "ZIG_LOCAL_CACHE_DIR": str(directory.absolute() / "zig-cache")}
    environment.setdefault("ZIG_GLOBAL_CACHE_DIR", str(cache_dir() / "zig"))
    return environment


def _toolchain(family: Family, command: tuple[str, ...], source: str) -> Toolchain | None:
    version = _version(command)
    return Toolchain(family, command, version, source) if version else None


@cache
def _version(command: tuple[str, ...]) -> str | None:
    """The version a compiler tells; None when it cannot be run at all."""
    zig = command[-1] == "cc" and len(command) > 1
    call = (*command[:-1], "version") if zig else (*command, "--version")
    try:
        done = subprocess.run(
            call,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env=compiler_environment(cache_dir()),
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    # The last number of the first line: "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205" is 12.2.1.
    first = done.stdout.strip().partition("\n")[0]
    numbers = re.findall(r"(?<![\w.:])\d+\.\d+(?:\.\d+)?(?![\w.:])", first)
    return numbers[-1] if numbers else first or None
