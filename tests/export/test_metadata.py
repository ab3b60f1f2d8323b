"""Every exported file is read by its own format's parser, holds no absolute path, and is the same each time."""

from __future__ import annotations

import configparser
import json
import re
import sys
from pathlib import Path, PurePosixPath

import pytest

from tests.export.projects import GESTURE, KWS, bundle, write_project
from tests.support.paths import ROOT
from tinygen import load_board
from tinygen.boards import board_names
from tinygen.emit.names import is_c_identifier
from tinygen.errors import BoardError, UsageError
from tinygen.export import Bundle, ProjectKind, default_kind, export_project

KINDS = {
    ProjectKind.PLATFORMIO: "nano33",
    ProjectKind.ARDUINO: "nano33",
    ProjectKind.ESP_IDF: "esp32c3",
    ProjectKind.ZEPHYR: "nano33",
    ProjectKind.CMAKE: "mps2-an386",
}
NEEDS = {
    ProjectKind.PLATFORMIO: ["platformio_platform", "platformio_board", "platformio_framework"],
    ProjectKind.ARDUINO: ["arduino_fqbn"],
    ProjectKind.ESP_IDF: ["esp_idf_target"],
    ProjectKind.ZEPHYR: ["zephyr_board"],
}
ABSOLUTE = re.compile(r"(?<![\w.$}~:/])/(?:home|root|tmp|usr|work|opt|etc|var)/|[A-Za-z]:\\\\")


def two(kind: ProjectKind) -> Bundle:
    return bundle(KINDS[kind], KWS, GESTURE)


@pytest.mark.parametrize(
    ("kind", "board", "name", "owner"),
    [
        (ProjectKind.ESP_IDF, "esp32", "freertos", "ESP-IDF"),
        (ProjectKind.ESP_IDF, "esp32", "Console", "ESP-IDF"),
        (ProjectKind.ESP_IDF, "esp32", "esp_timer", "ESP-IDF"),
        (ProjectKind.ESP_IDF, "esp32", "idf_test", "ESP-IDF"),
        (ProjectKind.ARDUINO, "nano33", "Wire", "Arduino core"),
        (ProjectKind.ARDUINO, "nano33", "mbed", "header of that name"),
        (ProjectKind.ARDUINO, "esp32", "preferences", "Arduino core"),
        (ProjectKind.PLATFORMIO, "nano33", "SPI", "Arduino core"),
    ],
)
def test_a_name_that_the_framework_has_itself_is_refused(kind: ProjectKind, board: str, name: str, owner: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be called {name}: .*{owner}.*Choose another name with --name"):
        export_project(kind, bundle(board, GESTURE, name=name))


@pytest.mark.parametrize(("kind", "name"), [(ProjectKind.ZEPHYR, "console"), (ProjectKind.PLATFORMIO, "freertos")])
def test_a_name_that_only_another_framework_has_is_taken(kind: ProjectKind, name: str) -> None:
    assert any(f"/{name}.h" in path for path in export_project(kind, bundle("nano33", GESTURE, name=name)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_model_may_have_the_name_of_a_file_of_the_project(kind: ProjectKind) -> None:
    files = [PurePosixPath(path) for path in export_project(kind, bundle(KINDS[kind], GESTURE, name="zzq"))]
    own = {part for path in files for part in path.parts[:-1]}
    own |= {path.stem for path in files if path.suffix in (".c", ".cpp", ".h")}
    assert any("selftests" in name.lower() for name in own)
    assert {name for name in own if "zzq" not in name and is_c_identifier(name)} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_c_file_begins_with_what_wrote_it(kind: ProjectKind) -> None:
    files = {
        name: text for name, text in export_project(kind, two(kind)).items() if name.endswith((".c", ".h", ".cpp"))
    }
    assert [name for name, text in files.items() if "enerated by tinygen" not in text.partition("*/")[0]] == []
    assert all(text.startswith("/*") for text in files.values())


@pytest.mark.parametrize("kind", KINDS)
def test_two_exports_are_byte_identical(kind: ProjectKind, tmp_path: Path) -> None:
    first = write_project(kind, two(kind), tmp_path / "first")
    bundle.cache_clear()
    second = write_project(kind, two(kind), tmp_path / "second place")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_holds_an_absolute_path_a_tab_or_what_no_disk_takes(kind: ProjectKind) -> None:
    for path, text in export_project(kind, two(kind)).items():
        assert not ABSOLUTE.search(text) and str(ROOT) not in text and sys.prefix not in text, path
        assert "{{" not in text and "//%" not in text, path
        assert text.endswith("\n") and not text.endswith("\n\n"), path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path
        assert re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", path)


@pytest.mark.parametrize("kind", KINDS)
def test_json_yaml_and_ini_are_read_by_their_parsers(kind: ProjectKind) -> None:
    yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
    readers = {
        ".json": json.loads,
        ".yml": yaml.safe_load,
        ".yaml": yaml.safe_load,
        ".ini": configparser.ConfigParser(interpolation=None).read_string,
    }
    for path, text in export_project(kind, two(kind)).items():
        if reader := readers.get(PurePosixPath(path).suffix):
            reader(text)


def test_the_component_names_its_target_and_the_idf_it_needs() -> None:
    yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
    files = export_project(ProjectKind.ESP_IDF, bundle("esp32c3", KWS))
    component = yaml.safe_load(files["components/kws/idf_component.yml"])
    assert component["targets"] == ["esp32c3"]
    assert component["dependencies"] == {"idf": ">=5.0"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", component["version"])
    sources = re.findall(r'"(src/\w+\.c)"', files["components/kws/CMakeLists.txt"])
    assert sources and all(f"components/kws/{source}" in files for source in sources)
    assert "include($ENV{IDF_PATH}/tools/cmake/project.cmake)" in files["CMakeLists.txt"]


def test_the_zephyr_module_names_files_that_are_there() -> None:
    yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
    files = export_project(ProjectKind.ZEPHYR, two(ProjectKind.ZEPHYR))
    module = yaml.safe_load(files["zephyr/module.yml"])
    assert module["build"] == {"cmake": ".", "kconfig": "Kconfig"}
    assert "CMakeLists.txt" in files and "Kconfig" in files and module["samples"] == ["samples"]
    sample = yaml.safe_load(files["samples/selftest/sample.yaml"])
    (test,) = sample["tests"].values()
    assert test["platform_allow"] == ["arduino_nano_33_ble"]
    assert test["harness_config"]["regex"] == [
        "TINYGEN PASS kws inputs=1 layers=14",
        "TINYGEN PASS gesture inputs=1 layers=13",
    ]


@pytest.mark.parametrize(("kind", "config"), [
    (ProjectKind.ZEPHYR, "samples/selftest/prj.conf"), (ProjectKind.ESP_IDF, "sdkconfig.defaults"),
])  # fmt: skip
def test_kconfig_knows_every_option_that_the_project_sets(kind: ProjectKind, config: str, tmp_path: Path) -> None:
    kconfiglib = pytest.importorskip("kconfiglib", reason="pip install kconfiglib")
    folder = write_project(kind, two(kind), tmp_path / "kconfig")
    top = folder / "Kconfig"
    if kind is ProjectKind.ESP_IDF:
        top = tmp_path / "Kconfig"
        top.write_text("".join(f'source "{path}"\n' for path in sorted(folder.rglob("Kconfig"))))
    tree = kconfiglib.Kconfig(str(top), warn_to_stderr=False)
    ours = [line for line in (folder / config).read_text().splitlines() if line.startswith("CONFIG_TINYGEN_")]
    (tmp_path / "config").write_text("\n".join(ours) + "\n")
    tree.load_config(str(tmp_path / "config"))
    assert not tree.warnings
    assert {f"CONFIG_{name}={tree.syms[name].str_value}" for name in tree.syms if name.startswith("TINYGEN_")} == {
        *ours
    }


@pytest.mark.parametrize("kind", NEEDS)
def test_a_board_without_the_ids_is_told_which_keys_and_what_to_write(kind: ProjectKind) -> None:
    lacking = next(b for b in board_names() if not any(getattr(load_board(b).project, key) for key in NEEDS[kind]))
    with pytest.raises(BoardError) as error:
        export_project(kind, bundle(lacking, GESTURE))
    assert str(error.value).startswith(f"board {lacking}: --export {kind.value} needs project.")
    assert all(f"project.{key}" in str(error.value) for key in NEEDS[kind])
    assert "[project]" in str(error.value)


@pytest.mark.parametrize("kind", ProjectKind)
@pytest.mark.parametrize("board", board_names())
def test_every_board_is_exported_or_lacks_an_id(board: str, kind: ProjectKind) -> None:
    try:
        files = export_project(kind, bundle(board, GESTURE))
    except BoardError as error:
        assert "[project]" in str(error)
        assert kind is not default_kind(load_board(board))
        return
    assert ("renode-test --test-timeout" in files["README.md"]) == load_board(board).runs_in_renode
    assert "\n\n\n" not in files["README.md"]
    assert "--self-test" in files["README.md"] or not load_board(board).runs_in_renode
    assert sum(path.endswith("gesture_weights.c") for path in files) == 1


@pytest.mark.parametrize(
    ("board", "framework", "message"),
    [
        ("pico", "mbed", r"project\.platformio_framework is 'mbed'; .* arduino, stm32cube\. .* for the board\."),
        ("esp32", "espidf", r"is 'espidf'; .* or choose --export esp-idf\."),
        ("esp32c3", "stm32cube", r"is 'stm32cube', but console\.uart is 'esp'; stm32_v1 or stm32_v2 is expected"),
    ],
)
def test_a_framework_that_no_program_is_for_is_refused(
    board: str, framework: str, message: str, tmp_path: Path
) -> None:
    text = (
        (ROOT / "boards" / f"{board}.toml").read_text().replace('_framework = "arduino"', f'_framework = "{framework}"')
    )
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BoardError, match=message):
        export_project(ProjectKind.PLATFORMIO, bundle(str(tmp_path / "mine.toml"), GESTURE))


def test_flags_of_the_boards_toml_reach_both_environments(tmp_path: Path) -> None:
    text = (ROOT / "boards" / "pico.toml").read_text() + 'platformio_flags = ["-D ONE", "-D TWO=2"]\n'
    (tmp_path / "mine.toml").write_text(text)
    parser = configparser.ConfigParser(interpolation=None)
    project = bundle(str(tmp_path / "mine.toml"), GESTURE)
    parser.read_string(export_project(ProjectKind.PLATFORMIO, project)["platformio.ini"])
    assert parser["env"]["build_flags"].split("\n")[1:] == ["-D ONE", "-D TWO=2"]
    assert parser["env:selftest"]["build_flags"].split("\n")[1:] == ["${env.build_flags}", "-D TINYGEN_VALIDATE"]
