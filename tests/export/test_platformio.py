"""`pio run` builds the project as it was exported, and the firmware passes its self-test in the emulator."""

from __future__ import annotations

import configparser
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.export.projects import GESTURE, KWS, VISION, bundle, write_project
from tests.support.paths import shared_model
from tests.support.platformio.boards import VENDOR_BOARDS, VendorBoard
from tests.support.platformio.install import run_pio
from tests.support.semihosted import run_elf
from tinygen import load_board
from tinygen.boards import board_names
from tinygen.export import ProjectKind, export_project

BOARDS = ("nano33", "nucleo-l4r5zi", "stm32f746-discovery", "pico")
LIBRARY_FIELDS = {"name": str, "version": str, "description": str, "keywords": list, "headers": str, "build": dict}


def build(core: Path, folder: Path, *arguments: str) -> Path:
    """`pio run` in a project; its firmware.elf."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    done = run_pio(core, home, ["run", *arguments], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    environment = arguments[1] if arguments else "selftest"
    return folder / ".pio" / "build" / environment / "firmware.elf"


@pytest.mark.parametrize("model", ["kws", "gesture", "vision", "mlperf_kws"])
@pytest.mark.parametrize("board", BOARDS)
def test_pio_run_builds_firmware_that_passes(board: str, model: str, pio_core: Path, tmp_path: Path) -> None:
    path = {"kws": KWS, "gesture": GESTURE, "vision": VISION}.get(model) or str(shared_model(model))
    project = bundle(board, path)
    elf = build(pio_core, write_project(ProjectKind.PLATFORMIO, project, tmp_path / f"my {model} project"))
    output = run_elf(elf, load_board(board))
    assert (output.exit_code, output.trouble) == (0, ""), output
    layers = len(project.models[0].program.layers)
    assert output.lines[-1] == f"TINYGEN PASS {model} inputs=1 layers={layers}"
    assert output.lines[0].startswith(f"TINYGEN SIZES {model} arena=")
    assert re.fullmatch(rf"TINYGEN TIME {model} us=\d+", output.lines[1])
    assert re.fullmatch(rf"TINYGEN CYCLES {model} " + (r"-" if board == "pico" else r"\d+"), output.lines[3])


@pytest.mark.parametrize("shared", [False, True], ids=["own arenas", "shared arena"])
def test_several_models_pass_in_one_firmware(shared: bool, pio_core: Path, tmp_path: Path) -> None:
    project = bundle("nano33", KWS, GESTURE, VISION, shared_arena=shared, inferences=2)
    elf = build(pio_core, write_project(ProjectKind.PLATFORMIO, project, tmp_path / "three"))
    output = run_elf(elf, load_board("nano33"))
    passed = [line.split()[2] for line in output.lines if re.match(r"TINYGEN PASS \w+ inputs=2 ", line)]
    assert passed == ["kws", "gesture", "vision"], output
    assert ram_bytes(elf) < project.arena_bytes + 4096


def ram_bytes(elf: Path) -> int:
    """What lies in .data and .bss."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        return sum(s["sh_size"] for s in ELFFile(file).iter_sections() if s.name in (".data", ".bss"))


def test_a_flipped_weight_bit_fails_in_the_layer_that_owns_it(pio_core: Path, tmp_path: Path) -> None:
    folder = write_project(ProjectKind.PLATFORMIO, bundle("nano33", KWS), tmp_path / "flipped")
    weights = folder / "lib" / "kws" / "src" / "kws_weights.c"
    text = weights.read_text()
    changed = re.sub(r"( = \{\n    )(-?\d+)", lambda m: m[1] + str(int(m[2]) ^ 64), text, count=1)
    assert changed != text
    weights.write_text(changed)
    output = run_elf(build(pio_core, folder), load_board("nano33"))
    assert output.lines[-1].startswith("TINYGEN FAIL kws inputs=1"), output
    assert any(line.startswith("TINYGEN DIFFER kws constants layer=0 op=CONV_2D ") for line in output.lines)


def test_the_stm32cube_program_prints_on_the_boards_own_uart(pio_core: Path, tmp_path: Path) -> None:
    elf = build(pio_core, write_project(ProjectKind.PLATFORMIO, bundle("stm32f4-discovery", KWS), tmp_path / "cube"))
    output = run_elf(elf, load_board("stm32f4-discovery"), until="TINYGEN PASS kws inputs=1 layers=14\r\n")
    assert "TINYGEN PASS kws inputs=1 layers=14" in output.lines, output


@pytest.mark.parametrize("board", ["nano33", "stm32f4-discovery"])
def test_an_own_program_builds_beside_the_self_test_and_holds_no_checks(
    board: str, pio_core: Path, tmp_path: Path
) -> None:
    folder = write_project(ProjectKind.PLATFORMIO, bundle(board, KWS, GESTURE), tmp_path / "own")
    (app,) = (folder / "examples").iterdir()
    shutil.copy(app, folder / "src" / app.name)
    elf = build(pio_core, folder, "-e", "app")
    assert b"TINYGEN" not in elf.read_bytes()
    if board == "nano33":
        output = run_elf(elf, load_board(board))
        assert output.exit_code == 0 and "kws: the largest output is number" in output.text, output
    build(pio_core, folder)  # the self-test is still what it was


def test_pio_reads_the_project_and_knows_its_library(pio_core: Path, tmp_path: Path) -> None:
    folder = write_project(ProjectKind.PLATFORMIO, bundle("nano33", KWS), tmp_path / "read it")
    lint = run_pio(pio_core, tmp_path, ["project", "config", "--lint"], folder)
    assert lint.returncode == 0 and "free from linting errors" in lint.stdout, lint.stdout + lint.stderr
    pack = run_pio(pio_core, tmp_path, ["pkg", "pack", "-o", str(tmp_path), "lib/kws"], folder)
    assert pack.returncode == 0 and list(tmp_path.glob("kws-*.tar.gz")), pack.stdout + pack.stderr


@pytest.mark.parametrize("vendor", VENDOR_BOARDS, ids=lambda vendor: vendor.board)
def test_platform_board_and_framework_are_the_vendors(vendor: VendorBoard) -> None:
    ids = load_board(vendor.board).project
    assert (ids.platformio_platform, ids.platformio_board) == (vendor.platform, vendor.id), vendor.source
    assert ids.platformio_framework in vendor.frameworks, vendor.source


def test_the_table_of_vendor_boards_is_complete() -> None:
    known = {name for name in board_names() if load_board(name).project.platformio_platform}
    assert {vendor.board for vendor in VENDOR_BOARDS} == known


@pytest.mark.parametrize("board", [vendor.board for vendor in VENDOR_BOARDS if vendor.board != "microbit"])
def test_platformio_ini_says_what_the_boards_toml_says(board: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(export_project(ProjectKind.PLATFORMIO, bundle(board, KWS))["platformio.ini"])
    ids, console = load_board(board).project, load_board(board).console
    assert dict(parser["env"]) == {
        "platform": ids.platformio_platform,
        "board": ids.platformio_board,
        "framework": ids.platformio_framework,
        "monitor_speed": str(console.baud),
    }
    assert "TINYGEN_VALIDATE" in parser["env:selftest"]["build_flags"]
    assert "build_flags" not in parser["env:app"]


def test_library_json_has_the_fields_of_platformios_schema() -> None:
    files = export_project(ProjectKind.PLATFORMIO, bundle("nano33", KWS))
    library = json.loads(files["lib/kws/library.json"])
    for name, kind in LIBRARY_FIELDS.items():
        assert isinstance(library[name], kind), name
    assert re.fullmatch(r"[a-z0-9_-]+", library["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", library["version"])
    assert set(library) <= {*LIBRARY_FIELDS, "frameworks", "platforms"}
    assert set(library["build"]) == {"includeDir", "srcDir", "flags"}
    assert f"lib/kws/{library['build']['includeDir']}/{library['headers']}" in files
