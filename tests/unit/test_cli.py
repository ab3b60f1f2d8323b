"""The command line: what it prints, its exit codes, and that it leaves nothing half-written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygen
from tests.support.graphs import SCALE, pointwise
from tests.support.models import ModelBuilder
from tests.support.paths import EXAMPLES
from tinygen import Optimize, Options, compile_model, load_board, read_model
from tinygen.cli import main
from tinygen.validate.inputs import random_inputs
from tinygen.validate.saved import SavedRun, save_run

KWS, GESTURE, VISION = map(str, EXAMPLES)
MANIFEST_FIELDS = {
    "model", "model_sha256", "board", "target", "optimize", "reference", "tinygen", "arena_bytes", "lower_bound_bytes",
    "weights_bytes", "code_bytes", "flash_bytes", "stack_bytes", "macs", "layers", "files",
}  # fmt: skip
COMPARISON_FIELDS = {
    "model", "board", "emulator", "reference", "inputs", "tensors_compared", "values_compared", "values_different",
    "largest_difference", "first_difference", "instructions_min", "instructions_max", "arena_bytes", "stack_bytes",
    "equal",
}  # fmt: skip


def files_in(folder: Path) -> set[str]:
    """All files of a folder, by relative path."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_build_writes_a_platformio_project_and_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a folder" / "out"
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--json"]) == 0
    assert files_in(out) == {
        "README.md", "examples/app.cpp", "manifest.json", "memory.txt", "platformio.ini",
        "lib/kws/include/kws.h", "lib/kws/include/kws_selftest.h", "lib/kws/library.json",
        "lib/kws/src/kws.c", "lib/kws/src/kws_selftest.c", "lib/kws/src/kws_weights.c",
        "renode/kws.resc", "renode/kws.robot", "renode/nano33.repl",
        "src/cycles.h", "src/cycles_dwt.c", "src/main.cpp", "src/selftests.c", "src/selftests.h",
    }  # fmt: skip
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "manifest.json").read_text())
    assert set(printed) >= MANIFEST_FIELDS
    assert {*printed["files"], "manifest.json"} == files_in(out)
    assert (printed["export"], printed["self_test_inputs"]) == ("platformio", 1)
    assert set(printed["layers"][0]) >= {"index", "op", "kernel", "macs"}
    assert printed["lower_bound_bytes"] <= printed["arena_bytes"]


def test_build_replaces_its_own_folder_and_keeps_what_the_user_added(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--name", "first"]) == 0
    (out / "notes.txt").write_text("mine")
    (out / "src" / "app.cpp").write_text("mine too")
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--name", "second"]) == 0
    assert files_in(out) == {
        "README.md", "examples/app.cpp", "manifest.json", "memory.txt", "platformio.ini",
        "lib/second/include/second.h", "lib/second/include/second_selftest.h", "lib/second/library.json",
        "lib/second/src/second.c", "lib/second/src/second_selftest.c", "lib/second/src/second_weights.c",
        "renode/nano33.repl", "renode/second.resc", "renode/second.robot",
        "src/cycles.h", "src/cycles_dwt.c", "src/main.cpp", "src/selftests.c", "src/selftests.h",
        "notes.txt", "src/app.cpp",
    }  # fmt: skip
    assert not (out / "lib" / "first").exists()


def test_a_rebuild_says_which_of_the_users_changes_it_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["build", KWS, "--board", "nano33", "-o", str(out)]) == 0
    assert "warning" not in capsys.readouterr().err
    for name in ("src/main.cpp", "lib/kws/src/kws.c"):
        (out / name).write_text(f"// mine\n{(out / name).read_text()}")
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        f"warning: {out}: kept as you changed them; delete one and build again to have tinygen's own: src/main.cpp\n"
        f"warning: {out}: your changes are gone, for these files are made from the model and the board: "
        "lib/kws/src/kws.c\n"
    )
    assert (out / "src" / "main.cpp").read_text().startswith("// mine\n")
    assert not (out / "lib" / "kws" / "src" / "kws.c").read_text().startswith("// mine\n")
    assert json.loads(shown.out) == json.loads((out / "manifest.json").read_text())


def test_files_kept_of_another_build_system_are_said_to_be_its(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["build", GESTURE, "--board", "nano33", "-o", str(out), "--export"]
    assert main([*arguments, "platformio"]) == 0
    for name in ("README.md", "platformio.ini"):
        (out / name).write_text(f"; mine\n{(out / name).read_text()}")
    assert main([*arguments, "zephyr", "--json"]) == 0
    assert capsys.readouterr().err == (
        f"warning: {out}: kept as you changed them, but they belong to the earlier build for platformio, not to "
        "zephyr; delete them and build again to have what zephyr needs: README.md\n"
        f"warning: {out}: kept as you changed them, but this build for zephyr does not need them: platformio.ini\n"
    )
    (out / "README.md").unlink()
    (out / "platformio.ini").unlink()
    assert main([*arguments, "zephyr", "--json"]) == 0
    assert capsys.readouterr().err == ""
    assert "west build" in (out / "README.md").read_text()


def test_another_export_replaces_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for export in ("platformio", "arduino", "zephyr", "cmake"):
        assert main(["build", GESTURE, "--board", "nano33", "-o", str(out), "--export", export]) == 0
        assert {*json.loads((out / "manifest.json").read_text())["files"], "manifest.json"} == files_in(out)
    assert {path.name for path in out.iterdir()} == {
        "CMakeLists.txt", "README.md", "cmake", "gesture", "manifest.json", "memory.txt", "renode", "test",
    }  # fmt: skip


def test_the_default_export_of_a_board_without_platformio_ids_is_cmake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["build", GESTURE, "--board", "riscv-virt", "-o", str(out)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"project {out}: cmake (the board has no PlatformIO ids)" in printed
    assert main(["build", GESTURE, "--board", "riscv-virt", "-o", str(out), "--export", "platformio"]) == 2
    error = capsys.readouterr().err
    assert "project.platformio_board" in error and "[project]" in error


def test_build_ends_with_what_fits_and_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a folder"
    assert main(["build", KWS, "--board", "nano33", "-o", str(out)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    arena = json.loads((out / "manifest.json").read_text())["arena_bytes"]
    share = 100 * (arena + 8192) / 262_144
    assert f"RAM {arena + 8192:,} of 262,144 bytes, {share:.0f} %: arena {arena:,}, stack 8,192" in lines
    assert any(re.fullmatch(r"flash [\d,]+ of 983,040 bytes, \d %: it fits", line) for line in lines)
    assert lines[-2:] == [f"next pio run -d '{out}'", f"and tinygen validate {KWS} --board nano33"]


def test_the_commands_to_type_next_are_for_what_was_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "my model.tflite"
    own.write_bytes(Path(KWS).read_bytes())
    words = ["--reference", "tflm", "--optimize", "flash"]
    assert main(["build", str(own), GESTURE, "--board", "nano33", "-o", str(tmp_path / "out"), *words]) == 0
    shown = capsys.readouterr().out.splitlines()
    typed = [shlex.split(line.removeprefix("and")) for line in shown if line.startswith("and")]
    assert typed == [["tinygen", "validate", model, "--board", "nano33", *words] for model in (str(own), GESTURE)]
    for command in typed:  # they say what the parser takes
        with pytest.raises(SystemExit) as ended:
            main([*command[1:], "--help"])
        assert ended.value.code == 0


@pytest.mark.parametrize(
    ("export", "board", "command"),
    [
        ("platformio", "nano33", "pio run -d {out}"),
        ("arduino", "nano33", "arduino-cli compile --fqbn {ids.arduino_fqbn} --library {out} {out}/examples/gesture"),
        ("esp-idf", "esp32c3", "idf.py -C {out} build flash monitor"),
        ("zephyr", "pico", "west build -b {ids.zephyr_board} -d {out}/build {out}/samples/selftest"),
        (
            "cmake",
            "nano33",
            "cmake -S {out} -B {out}/build && cmake --build {out}/build && (cd {out}/build && ctest)",
        ),
    ],
)
def test_the_next_command_is_right_where_the_build_was_typed(
    export: str, board: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folder"
    assert main(["build", GESTURE, "--board", board, "-o", str(out), "--export", export]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next"))
    assert shlex.split(line)[1:] == shlex.split(command.format(out=out, ids=load_board(board).project))


@pytest.mark.parametrize("shared", [[], ["--shared-arena"]])
def test_several_models_make_one_project(shared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert (
        main(["build", KWS, GESTURE, "--board", "nano33", "-o", str(out), "--self-test", "2", "--json", *shared]) == 0
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "manifest.json").read_text())
    assert [model["name"] for model in printed["models"]] == ["kws", "gesture"]
    assert all(set(model) >= MANIFEST_FIELDS for model in printed["models"])
    arenas = [model["arena_bytes"] for model in printed["models"]]
    assert printed["arena_bytes"] == (max(arenas) if shared else sum(arenas))
    assert (printed["shared_arena"], printed["self_test_inputs"]) == (bool(shared), 2)
    assert {*printed["files"], "manifest.json"} == files_in(out)
    for model in printed["models"]:
        assert len(model["files"]) == 5 and all(f"lib/{model['name']}/" in path for path in model["files"])


def test_models_that_fit_only_with_a_shared_arena_are_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leanest = Options(optimize=Optimize.RAM)
    models = [compile_model(read_model(m), load_board("nano33"), leanest).program for m in (KWS, GESTURE)]
    most = str(sum(program.plan.arena_bytes for program in models) - 1)
    arguments = ["build", KWS, GESTURE, "--board", "nano33", "-o", str(tmp_path / "out"), "--max-ram", most]
    arguments += ["--optimize", "ram"]
    assert main([*arguments, "--json"]) == 1
    assert "--shared-arena" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--json", "--shared-arena"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([KWS, KWS], "would share the name kws. Give each model a C name of its own"),
        ([KWS, GESTURE, "--name", "one"], "--name was given 1 times for 2 models"),
        ([KWS, "--name", "one", "--name", "two"], "--name was given 2 times for 1 models"),
        ([KWS, GESTURE, "--name", "Net", "--name", "net"], "would share the name net"),
        ([KWS, GESTURE, "--name", "net", "--name", "net_selftest"], "would share the name net_selftest"),
        ([KWS, GESTURE, "--name", "net", "--name", "union"], "keyword"),
        ([KWS, "--self-test", "0"], "between 1 and"),
        ([KWS, "--self-test", "100000"], "between 1 and"),
    ],
)
def test_bad_names_and_counts_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["build", *arguments, "--board", "nano33", "-o", str(out)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_two_files_of_one_name_build_with_a_name_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", KWS, KWS, "--name", "left", "--name", "right", "--board", "nano33"]
    assert main([*arguments, "-o", str(tmp_path / "out"), "--json"]) == 0
    assert [model["name"] for model in json.loads(capsys.readouterr().out)["models"]] == ["left", "right"]


def test_a_foreign_folder_is_refused_and_stays_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    assert main(["build", KWS, "--board", "nano33", "-o", str(tmp_path)]) == 2
    assert "did not write" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("a file")
    assert main(["build", KWS, "--board", "nano33", "-o", str(tmp_path / "out")]) == 2
    assert "this is a file" in capsys.readouterr().err


def test_an_unwritable_folder_is_refused_and_nothing_stays(capsys: pytest.CaptureFixture[str]) -> None:
    # /proc refuses new entries even to root
    if not Path("/proc/self").exists():
        pytest.skip("/proc is missing: this test needs Linux")
    assert main(["build", KWS, "--board", "nano33", "-o", "/proc/tinygen/out"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_unknown_board_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", KWS, "--board", "nano3"]) == 2
    error = capsys.readouterr().err
    assert "nano33" in error
    assert "Traceback" not in error


def test_a_name_that_is_a_keyword_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", KWS, "--board", "nano33", "--name", "class"]) == 2
    assert "keyword" in capsys.readouterr().err


def test_a_model_that_does_not_fit_is_refused_with_the_layers_that_set_the_peak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "tiny.toml"
    board.write_text(
        'title = "tiny"\nchip = "none"\ntarget = "cortex-m4f"\nclock_hz = 1000000\n'
        '[[memories]]\nname = "FLASH"\nkind = "flash"\norigin = 0\nsize_bytes = 1048576\n'
        '[[memories]]\nname = "RAM"\nkind = "ram"\norigin = 0x20000000\nsize_bytes = 4096\n'
    )
    assert main(["build", KWS, "--board", str(board), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "needs" in error and "has 4,096" in error and "layers that set the peak" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("budget", [["--max-ram", "1K"], ["--max-flash", "1K"]])
def test_a_missed_budget_fails_the_build(budget: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), *budget]) == 1
    assert budget[0] in capsys.readouterr().err
    assert not out.exists()


def test_a_build_without_a_compiler_leaves_its_sizes_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tinygen import toolchain
    from tinygen.errors import ToolError

    def missing(*_: object, **__: object) -> None:
        raise ToolError("no compiler")

    monkeypatch.setattr(toolchain, "find_toolchain", missing)
    assert main(["build", KWS, "--board", "nano33", "-o", str(tmp_path / "out"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["code_bytes"] is manifest["flash_bytes"] is manifest["stack_bytes"] is None


@pytest.mark.parametrize("missing", ["compiler", "pyelftools"])
def test_a_flash_budget_is_no_success_where_nothing_tells_the_codes_size(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tinygen import toolchain
    from tinygen.errors import ToolError

    def no_compiler(*_: object, **__: object) -> None:
        raise ToolError("no compiler for it. Install one.")

    if missing == "compiler":
        monkeypatch.setattr(toolchain, "find_toolchain", no_compiler)
    else:
        monkeypatch.setattr(toolchain, "elf_reader_version", lambda: None)
    out = tmp_path / "out"
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--max-flash", "256K"]) == 2
    error = capsys.readouterr().err
    assert "--max-flash cannot be checked: it is of weights and code" in error
    assert ("Install one." if missing == "compiler" else 'pip install "tinygen[emulate]"') in error
    assert not out.exists()
    # what the weights alone exceed needs no compiler, and another budget none either
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--max-flash", "1K"]) == 1
    assert main(["build", KWS, "--board", "nano33", "-o", str(out), "--max-ram", "64K"]) == 0


def test_validate_prints_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", KWS, "--board", "nano33", "--inputs", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) >= COMPARISON_FIELDS
    assert printed["equal"] is True
    assert printed["inputs"] == 5


def test_a_saved_run_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(tmp_path / "run.npz")
    assert main(["validate", KWS, "--board", "nano33", "--inputs", "1", "--save-run", saved, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["validate", "--replay", saved, "--board", "nano33", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_a_difference_is_shown_with_layer_element_values_and_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "run.npz"
    assert main(["validate", KWS, "--board", "nano33", "--inputs", "1", "--save-run", str(saved), "--json"]) == 0
    capsys.readouterr()
    with np.load(saved) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = next(name for name in arrays if name.startswith("tensor_"))
    arrays[name].reshape(-1)[7] ^= 1
    np.savez(saved, **arrays)
    assert main(["validate", "--replay", str(saved), "--board", "nano33"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "different: 1 values" in text
    assert "first: inference 0, layer 0 (CONV_2D)" in text and "element [0, 0, 0, 7]" in text
    assert (
        f"tinygen validate --board nano33 --emulator auto --reference litert --optimize balanced --replay {saved}"
        in text
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((1, 49, 10, 1), np.float32)}, "is int8, the array is float32"),
        ({"x": np.zeros((2, 48, 10, 1), np.int8)}, "has shape"),
        ({"x": np.zeros((1, 49, 10, 1), np.int8), "y": np.zeros(3)}, "holds 2 arrays"),
        ({"x": np.zeros((0, 1, 49, 10, 1), np.int8)}, "no inference"),
    ],
)
def test_wrong_inputs_are_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    assert main(["validate", KWS, "--board", "nano33", "--inputs", str(path)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("arguments", [["inspect", KWS], ["inspect", KWS, "--board", "nano33"], ["boards"], ["ops"],
                                       ["boards", "nano33"], ["ops", "conv_2d"], ["doctor"]])  # fmt: skip
def test_every_command_prints_for_people_and_for_machines(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip()
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_inspect_draws_the_memory_map_with_the_lower_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", KWS, "--board", "nano33"]) == 0
    assert "lower bound" in capsys.readouterr().out


def test_the_package_runs_as_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "tinygen", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tinygen {tinygen.__version__}\n"


def test_a_closed_pipe_is_no_crash() -> None:
    command = f'"{sys.executable}" -m tinygen boards | head -n 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout and not done.stderr


def test_demo_builds_validates_and_says_where_to_go_in_twenty_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "gesture", "--board", "pico"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 20
    assert any("all equal, bit for bit" in line for line in lines)
    assert any("tinygen build model.tflite --board pico" in line and "flashes it" in line for line in lines)
    assert any("--export KIND" in line and "arduino, zephyr, cmake" in line for line in lines)
    assert any("--emulator renode" in line for line in lines)
    assert any("--port" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([KWS], "--replay runs the model that is saved in it"),
        (["--inputs", "3"], "--replay brings its own inputs"),
        (["--seed", "1"], "--replay brings its own inputs"),
        (["--reference", "tflm"], "the saved run follows litert, not tflm"),
    ],
)
def test_what_a_replay_would_ignore_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = read_model(KWS)
    saved = tmp_path / "run.npz"
    inputs = random_inputs(model.graph, 1, 0)
    save_run(saved, SavedRun(model.data, {"name": "kws", "reference": "litert"}, inputs, ({},) * len(inputs)))
    assert main(["validate", *arguments, "--replay", str(saved), "--board", "nano33"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_negative_seed_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", KWS, "--board", "nano33", "--seed", "-1"])
    assert ended.value.code == 2
    assert "whole number from 0 on" in capsys.readouterr().err


def test_inspect_tells_machines_whether_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", KWS, "--board", "nano33", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    builder = ModelBuilder()
    builder.output(pointwise(builder, builder.input((1, 96, 96, 4), scale=SCALE), 4))
    large = tmp_path / "large.tflite"
    large.write_bytes(builder.finish())
    assert main(["inspect", str(large), "--board", "microbit", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["fits"] is False and "needs" in printed["problem"]
    assert printed["ram_needed_bytes"] > printed["ram_bytes"]


def test_self_test_on_request_builds_the_firmware_beside_renodes_scripts(tmp_path: Path) -> None:
    elves = []
    for name in ("one", "two"):
        out = tmp_path / name
        assert main(["build", GESTURE, "--board", "pico", "-o", str(out), "--self-test", "1"]) == 0
        elves.append((out / "renode" / "gesture.elf").read_bytes())
        assert "renode/gesture.elf" in json.loads((out / "manifest.json").read_text())["files"]
    assert elves[0][:4] == b"\x7fELF"
    assert elves[0] == elves[1], "two builds are byte-identical"


def test_renodes_own_platform_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["build", GESTURE, "--board", "nano33", "-o", str(out), "--renode-platform", "stock"]) == 0
    assert not (out / "renode" / "nano33.repl").exists()
    assert "arduino_nano_33_ble.repl" in (out / "renode" / "gesture.resc").read_text()
    assert main(["build", GESTURE, "--board", "pico", "-o", str(out), "--renode-platform", "stock"]) == 2
    assert "names no platform file of Renode's own" in capsys.readouterr().err


def test_validate_in_renode_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["validate", KWS, "--board", "nano33", "--emulator", "renode"]) == 2
    assert "Renode is not installed: unpack the portable release" in " ".join(capsys.readouterr().err.split())
