"""Counts the instructions of every inference in QEMU, by a plugin that is compiled here."""

from __future__ import annotations

import sys
from pathlib import Path

from tinygen.emulate.base import Counts
from tinygen.emulate.counter import native_file
from tinygen.emulate.symbols import Image, read_image
from tinygen.toolchain import Firmware

OUTPUT = "counts.txt"
FIRST_WITH_INTERFACE_2 = 9  # QEMU's major version; what the plugin uses is alike in both
NOTE = "instructions were not counted: that needs a C compiler for this machine and a QEMU that takes plugins"


def plugin_options(firmware: Firmware, qemu_version: str | None) -> tuple[str, ...] | None:
    """QEMU's options that load the plugin; None where it cannot be compiled."""
    major = (qemu_version or "").partition(".")[0]
    if not major.isdecimal():
        return None
    interface = 1 if int(major) < FIRST_WITH_INTERFACE_2 else 2
    # the plugin's functions are in the program that loads it
    undefined = ("-Wl,-undefined,dynamic_lookup",) if sys.platform == "darwin" else ()
    path = native_file("count_qemu.c", str(qemu_version), (f"-DPLUGIN_VERSION={interface}", *undefined))
    if path is None or "," in str(path):
        return None
    image: Image = read_image(firmware.elf)
    arguments = [f"run={image.symbol(f'{firmware.name}_run'):#x}", f"out={OUTPUT}"]
    if f"{firmware.name}_validate_step" in image.symbols:
        hook, end = image.symbol(f"{firmware.name}_validate_step"), image.symbol("tinygen_mark_hook_end")
        arguments += [f"hook={hook:#x}", f"hook_end={end:#x}"]
    return ("-plugin", ",".join([str(path), *arguments]))


def read_counts(directory: Path) -> list[Counts]:
    """What the plugin wrote into QEMU's working folder, an entry an inference."""
    path = directory / OUTPUT
    counts: list[Counts] = []
    marks: list[int] = []
    for line in path.read_text(encoding="ascii").splitlines() if path.is_file() else ():
        kind, _, number = line.partition(" ")
        if kind == "S":
            marks.append(int(number))
        else:
            counts.append(Counts(int(number), tuple(marks)))
            marks = []
    return counts
