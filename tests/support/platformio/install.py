"""Fills a PLATFORMIO_CORE_DIR so that `platform = nordicnrf52` and the like resolve without network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.platformio.boards import VENDOR_BOARDS, VendorBoard
from tinygen import load_board

HERE = Path(__file__).parent
DEAD_PROXY = "http://127.0.0.1:9"
"""Nobody listens there: what tries to reach the network fails at once instead of succeeding unseen."""

# What the vendors' builders add for these cores by themselves.
FPU: dict[str, str] = {
    "cortex-m4": "-mfpu=fpv4-sp-d16 -mfloat-abi=hard",
    "cortex-m7": "-mfpu=fpv5-sp-d16 -mfloat-abi=hard",
    "cortex-m33": "-mfpu=fpv5-sp-d16 -mfloat-abi=hard",
}


def require_platformio() -> None:
    """Skip, with what to install, where PlatformIO, its SCons or the compiler is missing."""
    if importlib.util.find_spec("platformio") is None:
        pytest.skip("PlatformIO is missing: pip install platformio")
    wanted = scons_version(tool_scons_version())
    if importlib.util.find_spec("SCons") is None or importlib.metadata.version("scons") != wanted:
        pytest.skip(f"SCons {wanted}, which this PlatformIO asks for, is missing: pip install scons=={wanted}")
    for tool in ("arm-none-eabi-gcc", "arm-none-eabi-g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi")


def tool_scons_version() -> str:
    """The version of the package tool-scons that the installed PlatformIO wants: 4.41101.0."""
    from platformio.dependencies import get_core_dependencies

    return str(get_core_dependencies()["tool-scons"]).lstrip("~^=")


def scons_version(package: str) -> str:
    """4.41101.0 is SCons 4.11.1: a 4, then two digits a part."""
    digits = package.split(".")[1]
    return f"{int(digits[:-4])}.{int(digits[-4:-2])}.{int(digits[-2:])}"


def install(core: Path) -> None:
    """SCons as PlatformIO's tool, and every vendor platform as a local one."""
    _install_scons(core / "packages" / "tool-scons")
    for name in sorted({vendor.platform for vendor in VENDOR_BOARDS}):
        _install_platform(core / "platforms" / name, name)


def _install_scons(folder: Path) -> None:
    version = tool_scons_version()
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "tool-scons", "version": version}))
    (folder / "scons.py").write_text("import SCons.Script\nSCons.Script.main()\n")
    (folder / ".piokeep").write_text("")
    _write_meta(folder, "tool", "tool-scons", version)


def _install_platform(folder: Path, name: str) -> None:
    shutil.copytree(HERE / "platform", folder)
    shutil.copytree(HERE / "core", folder / "core")
    frameworks = {stem: {"script": f"builder/frameworks/{stem}.py"} for stem in ("arduino", "stm32cube")}
    manifest = {
        "name": name,
        "title": f"{name}, played by arm-none-eabi-gcc",
        "version": "1.0.0",
        "frameworks": frameworks,
        "packages": {},
    }
    (folder / "platform.json").write_text(json.dumps(manifest))
    _write_meta(folder, "platform", name, "1.0.0")
    (folder / "boards").mkdir()
    for vendor in VENDOR_BOARDS:
        if vendor.platform == name:
            (folder / "boards" / f"{vendor.id}.json").write_text(json.dumps(_board(vendor, folder)))


def _write_meta(folder: Path, kind: str, name: str, version: str) -> None:
    """PlatformIO takes a package for its own only with this file."""
    spec = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
    meta = {"type": kind, "name": name, "version": version, "spec": spec}
    (folder / ".piopm").write_text(json.dumps(meta))


def _board(vendor: VendorBoard, folder: Path) -> dict[str, object]:
    script = f"{vendor.id}.ld"
    (folder / "core" / script).write_text(_memory(vendor) + (HERE / "core" / "sections.ld").read_text())
    return {
        "name": vendor.board,
        "url": vendor.source,
        "vendor": "tinygen",
        "frameworks": list(vendor.frameworks),
        "build": {
            "cpu": vendor.cpu,
            "mcu": vendor.mcu,
            "f_cpu": f"{vendor.clock_hz}L",
            "extra_flags": FPU.get(vendor.cpu, "-mfloat-abi=soft"),
            "ldscript": script,
        },
        "upload": {"maximum_size": vendor.flash_bytes, "maximum_ram_size": vendor.ram_bytes},
    }


def _memory(vendor: VendorBoard) -> str:
    board = load_board(vendor.board)
    flash, ram = board.flash, board.ram
    length = min(vendor.flash_bytes, flash.size_bytes - vendor.flash_offset)
    return (
        f"MEMORY {{\n  FLASH : ORIGIN = {flash.origin + vendor.flash_offset:#x}, LENGTH = {length:#x}\n"
        f"  RAM : ORIGIN = {ram.origin:#x}, LENGTH = {vendor.ram_bytes:#x}\n}}\n"
    )


def run_pio(core: Path, home: Path, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """`pio ...` in a folder: no network, no home, no settings of whoever runs the tests."""
    keep = {name: value for name, value in os.environ.items() if not re.match("PLATFORMIO|HOME$|.*_proxy$", name, re.I)}
    environment = {
        **keep,
        "HOME": str(home),
        "PLATFORMIO_CORE_DIR": str(core),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "3650",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "HTTP_PROXY": DEAD_PROXY,
        "HTTPS_PROXY": DEAD_PROXY,
        "PYTHONPATH": "",
    }
    return subprocess.run(
        [sys.executable, "-m", "platformio", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
