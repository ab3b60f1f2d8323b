"""Compiled models → the text of a project that builds in the user's own tools."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from enum import Enum

from tinygen.boards import Board
from tinygen.export import arduino, cmake, esp_idf, platformio, zephyr
from tinygen.export.bundle import Bundle, check_names

__all__ = ["Bundle", "ProjectKind", "default_kind", "export_project", "next_command"]


class ProjectKind(Enum):
    """The build systems that a project can be for."""

    PLATFORMIO = "platformio"
    ARDUINO = "arduino"
    ESP_IDF = "esp-idf"
    ZEPHYR = "zephyr"
    CMAKE = "cmake"


_EXPORTS: dict[ProjectKind, Callable[[Bundle], dict[str, str]]] = {
    ProjectKind.PLATFORMIO: platformio.export,
    ProjectKind.ARDUINO: arduino.export,
    ProjectKind.ESP_IDF: esp_idf.export,
    ProjectKind.ZEPHYR: zephyr.export,
    ProjectKind.CMAKE: cmake.export,
}


def default_kind(board: Board) -> ProjectKind:
    """PlatformIO where it knows the board; CMake, which needs no board ids, elsewhere."""
    return ProjectKind.PLATFORMIO if board.project.platformio_platform else ProjectKind.CMAKE


def export_project(kind: ProjectKind, bundle: Bundle) -> dict[str, str]:
    """All files of the project: text by path, with / between folders. The same bundle gives the same bytes.

    Raises BoardError when the board lacks an id that the build system needs, UsageError when two models share a name.
    """
    check_names(bundle)
    return dict(sorted(_EXPORTS[kind](bundle).items()))


def next_command(kind: ProjectKind, bundle: Bundle, folder: str) -> str:
    """What a user types after the build, in the folder where the build was typed."""
    ids = bundle.board.project
    library = folder if len(bundle.models) == 1 else f"{folder}/{bundle.names[0]}"
    at, build, lib = shlex.quote(folder), shlex.quote(f"{folder}/build"), shlex.quote(library)
    example, sample = shlex.quote(f"{library}/examples/{bundle.names[0]}"), shlex.quote(f"{folder}/samples/selftest")
    return {
        ProjectKind.PLATFORMIO: f"pio run -d {at}",
        ProjectKind.ARDUINO: f"arduino-cli compile --fqbn {ids.arduino_fqbn} --library {lib} {example}",
        ProjectKind.ESP_IDF: f"idf.py -C {at} build flash monitor",
        ProjectKind.ZEPHYR: f"west build -b {ids.zephyr_board} -d {build} {sample}",
        ProjectKind.CMAKE: f"cmake -S {at} -B {build} && cmake --build {build} && (cd {build} && ctest)",
    }[kind]
