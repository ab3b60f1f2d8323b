"""Compilers: finding them, building firmware with them, measuring what they make."""

from __future__ import annotations

from tinygen.toolchain.elf import elf_reader_version
from tinygen.toolchain.find import Tool, Toolchain, find_host_compilers, find_toolchain, survey
from tinygen.toolchain.firmware import Firmware, build_firmware
from tinygen.toolchain.options import Build
from tinygen.toolchain.platforms import Platform, board_platform
from tinygen.toolchain.selftest import build_selftest
from tinygen.toolchain.sizes import measure

__all__ = [
    "Build",
    "Firmware",
    "Platform",
    "Tool",
    "Toolchain",
    "board_platform",
    "build_firmware",
    "build_selftest",
    "elf_reader_version",
    "find_host_compilers",
    "find_toolchain",
    "measure",
    "survey",
]
