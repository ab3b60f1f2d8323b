"""Arduino libraries: the layout that the IDE takes, and sketches that compile and pass against a stub of the core."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.export.projects import GESTURE, KWS, bundle, write_project
from tests.support.platformio.boards import VENDOR_BOARDS
from tests.support.platformio.install import HERE, _memory
from tests.support.semihosted import run_elf
from tinygen import load_board
from tinygen.export import ProjectKind, export_project
from tinygen.toolchain.elf import open_elf

MANDATORY = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def compile_sketch(sketch: Path, libraries: list[Path], scratch: Path, board: str) -> Path:
    """As the IDE does it: the .ino as C++ behind Arduino.h, each library's src/, all linked with no flags of ours."""
    for tool in ("arm-none-eabi-gcc", "arm-none-eabi-g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    main = scratch / f"{sketch.name}.ino.cpp"
    main.write_text(
        f'#include <Arduino.h>\n#line 1 "{sketch.name}.ino"\n' + (sketch / f"{sketch.name}.ino").read_text()
    )
    sources = [main, *sketch.glob("*.c"), *(HERE / "core").glob("*.c*")]
    sources += [path for library in libraries for path in (library / "src").glob("*.c")]
    includes = [sketch, HERE / "core", *(library / "src" for library in libraries)]
    common = [*load_board(board).target.gcc_flags, "-Os", "-Wall", "-Wextra", "-Werror", "-ffunction-sections"]
    objects = []
    for number, source in enumerate(sources):
        language = ["arm-none-eabi-gcc", "-std=gnu11"]
        if source.suffix == ".cpp":
            language = ["arm-none-eabi-g++", "-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"]
        objects.append(str(scratch / f"{number}.o"))
        run([*language, *common, *(f"-I{path}" for path in includes), "-c", str(source), "-o", objects[-1]])
    (vendor,) = (vendor for vendor in VENDOR_BOARDS if vendor.board == board)
    script = scratch / "link.ld"
    script.write_text(_memory(vendor) + (HERE / "core" / "sections.ld").read_text())
    elf = scratch / "firmware.elf"
    run(["arm-none-eabi-gcc", *common, "-nostartfiles", f"-T{script}", "-Wl,--gc-sections", *objects, "-o", str(elf)])
    return elf


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board", ["nano33", "pico"])
def test_the_self_test_sketch_passes_without_any_compiler_flag(board: str, tmp_path: Path) -> None:
    folder = write_project(ProjectKind.ARDUINO, bundle(board, KWS), tmp_path / "kws library")
    elf = compile_sketch(folder / "examples" / "kws", [folder], tmp_path, board)
    output = run_elf(elf, load_board(board))
    assert (output.exit_code, output.trouble) == (0, ""), output
    assert output.lines[-1] == "TINYGEN PASS kws inputs=1 layers=14"


def test_the_self_test_sketch_checks_the_librarys_own_constants(tmp_path: Path) -> None:
    """The sketch holds the model's functions once more, as kws_checked_*, but no second copy of its constants."""
    folder = write_project(ProjectKind.ARDUINO, bundle("nano33", KWS), tmp_path / "kws")
    weights = folder / "src" / "kws_weights.c"
    text = weights.read_text()
    changed = re.sub(r"(-?\d+)(?=,?\n};)", lambda found: str(int(found[1]) ^ 1), text, count=1)
    assert changed != text
    weights.write_text(changed)
    elf = compile_sketch(folder / "examples" / "kws", [folder], tmp_path, "nano33")
    with open_elf(elf) as image:
        names = {symbol.name for symbol in image.get_section_by_name(".symtab").iter_symbols()}
    assert "kws_checked_run" in names and not any(name.startswith("kws_checked_layer") for name in names)
    output = run_elf(elf, load_board("nano33"))
    assert output.lines[-1].startswith("TINYGEN FAIL kws inputs=1 layers=14 different="), output
    assert "TINYGEN DIFFER kws constants layer=0 op=CONV_2D array=" in output.text, output


def test_the_own_program_holds_no_checks(tmp_path: Path) -> None:
    folder = write_project(ProjectKind.ARDUINO, bundle("nano33", KWS), tmp_path / "kws")
    elf = compile_sketch(folder / "examples" / "kws_app", [folder], tmp_path, "nano33")
    assert b"TINYGEN" not in elf.read_bytes()
    assert "kws: the largest output is number" in run_elf(elf, load_board("nano33")).text


def test_several_models_are_a_library_each_and_a_sketch_that_uses_them_together(tmp_path: Path) -> None:
    project = bundle("nano33", KWS, GESTURE, shared_arena=True)
    folder = write_project(ProjectKind.ARDUINO, project, tmp_path / "two")
    libraries = [folder / "kws", folder / "gesture"]
    elf = compile_sketch(folder / "kws_gesture_app", libraries, tmp_path, "nano33")
    output = run_elf(elf, load_board("nano33"))
    assert [line.split(":")[0] for line in output.lines] == ["kws", "gesture"], output


def test_the_folder_of_one_model_is_the_library() -> None:
    files = export_project(ProjectKind.ARDUINO, bundle("nano33", KWS))
    found = properties(files["library.properties"])
    assert all(found[key] for key in MANDATORY)  # an empty one is an error to Arduino's own checker
    assert re.fullmatch(r"https://[a-z.]+/\w+", found["url"])
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]*", found["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    assert f"src/{found['includes']}" in files
    # a sketch's main file must be called like its folder
    sketches = [path for path in files if path.endswith(".ino")]
    assert sketches == ["examples/kws/kws.ino", "examples/kws_app/kws_app.ino"]
    assert not any("selftest" in path for path in files if path.startswith("src/"))
