"""Project files from templates, and the model's own files in the places where a build system looks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tinygen.board_code import NO_COUNTER, console_sources, counter_sources
from tinygen.boards import Board
from tinygen.emit.environment import environment
from tinygen.emit.names import comment_text
from tinygen.export.bundle import Bundle
from tinygen.resources import resource_path
from tinygen.version import VERSION


@dataclass(frozen=True, slots=True)
class ProjectModel:
    """One model as templates see it."""

    name: str
    macro: str
    title: str  # the model's own name, as text that is safe in any comment
    sha256: str
    identity: str  # what its self-test says of it
    arena_bytes: int
    weights_bytes: int
    layers: int
    input_type: str  # the C type of the first input's elements
    output_type: str
    is_pushed: bool  # whether its input comes row by row
    arena: str  # the C expression of its arena, as templates/project/common/arenas.j2 declares it
    code_bytes: int | None
    stack_bytes: int | None


def project_models(bundle: Bundle) -> tuple[ProjectModel, ...]:
    """The models of a bundle, in its order."""
    return tuple(
        ProjectModel(
            name=model.program.name,
            macro=model.program.name.upper(),
            title=comment_text(model.program.graph.name),
            sha256=model.model.sha256,
            identity=model.identity,
            arena_bytes=max(model.program.plan.arena_bytes, 1),
            weights_bytes=model.program.weights_bytes,
            layers=len(model.program.layers),
            input_type=model.program.inputs[0].tensor.dtype.c_type,
            output_type=model.program.outputs[0].tensor.dtype.c_type,
            is_pushed=model.program.pushed is not None,
            arena=f"arena.{model.program.name}" if shares_arena(bundle) else f"{model.program.name}_arena",
            code_bytes=size.code_bytes if size else None,
            stack_bytes=size.stack_bytes if size else None,
        )
        for model, size in zip(bundle.models, bundle.sizes or [None] * len(bundle.models), strict=True)
    )


def shares_arena(bundle: Bundle) -> bool:
    """Whether there is one arena for several models."""
    return bundle.shared_arena and len(bundle.models) > 1


def is_espressif(board: Board) -> bool:
    """Whether the board's SDK is Espressif's, which has a function of its own that reads the core's cycles."""
    ids = board.project
    return bool(ids.esp_idf_target) or ids.platformio_platform == "espressif32" or ids.arduino_fqbn.startswith("esp32:")


def render(template: str, bundle: Bundle, **more: Any) -> str:
    """One file of templates/project."""
    models = project_models(bundle)
    board = bundle.board
    values = {
        "bundle": bundle,
        "board": board,
        "board_title": comment_text(board.title),
        "ids": board.project,
        "baud": board.console.baud,
        "has_counter": counter_sources(board) != NO_COUNTER,
        "models": models,
        "shares_arena": shares_arena(bundle),
        "compiler": next((size.compiler for size in bundle.sizes if size), ""),
        "arena_memory": bundle.models[0].placement.arena or board.ram,
        "arena_bytes": bundle.arena_bytes,
        "first": models[0],
        "project": bundle.name,
        "inferences": bundle.inferences,
        "checked": (),
        "is_esp": is_espressif(board),
        "board_file": file_name(board.name),
        "version": VERSION,
        "release": release(),
        **more,
    }
    text = environment().get_template(f"project/{template}.j2").render(values)
    return text.rstrip("\n") + "\n"


def file_name(text: str) -> str:
    """Text as the name of a file that no build system trips over."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text, flags=re.ASCII)


def release() -> str:
    """The version as three numbers, which is all that other build systems take."""
    numbers = re.match(r"\d+(\.\d+)*", VERSION)
    parts = [*(numbers[0] if numbers else "0").split("."), "0", "0"]
    return ".".join(parts[:3])


def json_text(value: object) -> str:
    """JSON as people read it."""
    return json.dumps(value, indent=2) + "\n"


def c_files(bundle: Bundle, index: int, include: str, source: str) -> dict[str, str]:
    """The five files of one model: headers under `include`, sources under `source` (folders that end in /, or empty).

    NAME_selftest.c is empty in a build without TINYGEN_VALIDATE, so that a build system may compile all there is.
    """
    files: dict[str, str] = {}
    for name, text in {**bundle.models[index].sources.files, **bundle.selftests[index]}.items():
        files[(include if name.endswith(".h") else source) + name] = text
    return files


def sources_among(files: Iterable[str]) -> tuple[str, ...]:
    """The names, without folders, of those files that a compiler takes."""
    return tuple(sorted(PurePosixPath(path).name for path in files if not path.endswith(".h")))


def counter_files(board: Board) -> tuple[str, ...]:
    """The files of firmware/ by which a program reads the core's cycles, the header last."""
    return (*counter_sources(board), "cycles.h")


def console_files(board: Board) -> tuple[str, ...]:
    """The files of firmware/ by which a program without a framework's driver prints, the header last."""
    return (*console_sources(board.console.uart), "console.h")


def firmware_files(names: Iterable[str], folder: str) -> dict[str, str]:
    """Files of firmware/ as they are, under `folder`: what the self-test of emulators runs, the project's runs too."""
    banner = f"/* Generated by tinygen {VERSION}, which overwrites this file at the next build. */\n"
    return {folder + name: banner + (resource_path("firmware") / name).read_text(encoding="utf-8") for name in names}


def selftest_program(bundle: Bundle, folder: str) -> dict[str, str]:
    """selftests.h and selftests.c, which run the self-test of every model: the part that all projects share."""
    return {
        f"{folder}selftests.h": render("common/selftests.h", bundle),
        f"{folder}selftests.c": render("common/selftests.c", bundle),
    }
