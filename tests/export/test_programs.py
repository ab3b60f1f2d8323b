"""The programs of frameworks that cannot be installed here compile against declarations of what they use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.export.projects import GESTURE, KWS, VISION, bundle
from tests.support.platformio.install import HERE
from tinygen import load_board
from tinygen.boards import board_names
from tinygen.compile import InputForm
from tinygen.export import ProjectKind, export_project, write_folder
from tinygen.resources import resource_path

# Signatures as in ESP-IDF 5 (esp_cpu.h, esp_timer.h, FreeRTOS) and Zephyr 4 (kernel.h, sys/printk.h).
ESP_IDF = {
    "esp_cpu.h": "#include <stdint.h>\ntypedef uint32_t esp_cpu_cycle_count_t;\n"
    "esp_cpu_cycle_count_t esp_cpu_get_cycle_count(void);\n",
    "esp_timer.h": "#include <stdint.h>\nint64_t esp_timer_get_time(void);\n",
    "freertos/FreeRTOS.h": "#include <stdint.h>\ntypedef uint32_t TickType_t;\n"
    "#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))\n",
    "freertos/task.h": "void vTaskDelay(const TickType_t ticks);\n",
}
ZEPHYR = {
    "zephyr/kernel.h": "#include <stddef.h>\n#include <stdint.h>\nint64_t k_uptime_ticks(void);\n"
    "uint64_t k_ticks_to_us_floor64(uint64_t t);\nint32_t k_msleep(int32_t ms);\n",
    "zephyr/sys/printk.h": "void printk(const char *fmt, ...);\n",
}
STRICT = ["-std=gnu17", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Werror"]


def check_syntax(folder: Path, headers: dict[str, str], sources: list[str], includes: list[str], *flags: str) -> None:
    """The compiler's verdict on each source."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    for name, text in headers.items():
        (folder / "sdk" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sdk" / name).write_text("#pragma once\n" + text)
    paths = [f"-I{folder / include}" for include in ["sdk", *includes]]
    for source in sources:
        command = ["arm-none-eabi-gcc", "-fsyntax-only", *STRICT, *flags, *paths, str(folder / source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


def exported(kind: ProjectKind, board: str, folder: Path) -> list[str]:
    files = export_project(kind, bundle(board, KWS, GESTURE))
    write_folder(folder, {**files, "manifest.json": '{"tinygen": "0", "files": []}\n'})
    return [path for path in files if path.endswith(".c")]


@pytest.mark.parametrize("flags", [(), ("-DTINYGEN_VALIDATE",)], ids=["product", "self-test"])
def test_the_esp_idf_component_compiles(flags: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "idf"
    sources = exported(ProjectKind.ESP_IDF, "esp32c3", folder)
    includes = ["main", "components/kws/include", "components/gesture/include"]
    chosen = sources if flags else [path for path in sources if path.startswith("components/")]
    check_syntax(folder, ESP_IDF, chosen, includes, *flags)


@pytest.mark.parametrize("board", ["nano33", "microbit"])
def test_the_zephyr_sample_compiles(board: str, tmp_path: Path) -> None:
    folder = tmp_path / "zephyr project"
    sources = exported(ProjectKind.ZEPHYR, board, folder)
    check_syntax(
        folder, ZEPHYR, sources, ["samples/selftest/src", "kws/include", "gesture/include"],
        "-DTINYGEN_VALIDATE",
    )  # fmt: skip


@pytest.mark.parametrize("board", [name for name in board_names() if load_board(name).project.platformio_platform])
def test_the_programs_of_every_platformio_board_compile(board: str, tmp_path: Path) -> None:
    files = export_project(ProjectKind.PLATFORMIO, bundle(board, GESTURE))
    write_folder(tmp_path / "pio", {**files, "manifest.json": '{"tinygen": "0", "files": []}\n'})
    if shutil.which("arm-none-eabi-g++") is None:
        pytest.skip("arm-none-eabi-g++ is missing: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    programs = [path for path in files if path.startswith(("src/", "examples/")) and not path.endswith(".h")]
    assert {Path(path).stem for path in programs} >= {"main", "app", "selftests"}
    for path in programs:
        compiler = (
            ["arm-none-eabi-g++", "-std=gnu++14"] if path.endswith(".cpp") else ["arm-none-eabi-gcc", "-std=gnu11"]
        )
        includes = [f"-I{HERE / 'core'}", f"-I{tmp_path / 'pio/src'}", f"-I{tmp_path / 'pio/lib/gesture/include'}"]
        command = [*compiler, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *includes, str(tmp_path / "pio" / path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("kind", "board"),
    [
        (ProjectKind.PLATFORMIO, "stm32f4-discovery"),
        (ProjectKind.ARDUINO, "nano33"),
        (ProjectKind.ESP_IDF, "esp32c3"),
        (ProjectKind.ZEPHYR, "nano33"),
        (ProjectKind.CMAKE, "nano33"),
    ],
    ids=lambda value: getattr(value, "value", value),
)
def test_programs_of_a_model_whose_rows_are_pushed_compile_and_show_how(
    kind: ProjectKind, board: str, tmp_path: Path
) -> None:
    files = export_project(kind, bundle(board, VISION, input_form=InputForm.ROWS))
    write_folder(tmp_path / "it", {**files, "manifest.json": '{"tinygen": "0", "files": []}\n'})
    folders = sorted({str(Path(path).parent) for path in files if path.endswith(".h")})
    headers = ESP_IDF if kind is ProjectKind.ESP_IDF else ZEPHYR
    programs = [path for path in files if path.endswith(".c") and "console" not in path and "cycles" not in path]
    flags = () if kind is ProjectKind.ARDUINO else ("-DTINYGEN_VALIDATE",)  # a sketch defines it itself
    check_syntax(tmp_path / "it", headers, programs, folders, *flags)
    shown = [path for path, text in files.items() if "vision_push_row(" in text and "tinygen_progress" not in text]
    assert any("selftest" in path for path in shown)
    assert any(path.endswith(("README.md", ".ino", "app.c")) for path in shown)


def test_espressifs_own_function_reads_the_cycles_where_its_sdk_is() -> None:
    files = export_project(ProjectKind.PLATFORMIO, bundle("esp32c3", GESTURE))
    assert "ESP.getCycleCount()" in files["src/main.cpp"]
    assert not any("cycles" in path for path in files)


SAME_SOURCE = {
    ("nano33", ProjectKind.PLATFORMIO, "src/"): {"cycles.h", "cycles_dwt.c"},
    ("pico", ProjectKind.PLATFORMIO, "src/"): {"cycles.h", "cycles_none.c"},
    ("stm32f4-discovery", ProjectKind.PLATFORMIO, "src/"): {
        "console.h", "console_setup.c", "console_stm32_v1.c", "cycles.h", "cycles_dwt.c",
    },
    ("nano33", ProjectKind.ARDUINO, "examples/gesture/"): {"cycles.h", "cycles_dwt.c"},
    ("riscv-virt", ProjectKind.ZEPHYR, "samples/selftest/src/"): {"cycles.h", "cycles_riscv.c", "cycles_riscv_csr.S"},
    ("esp32", ProjectKind.ZEPHYR, "samples/selftest/src/"): {"cycles.h", "cycles_ccount.c"},
}  # fmt: skip


@pytest.mark.parametrize(("board", "kind", "folder"), SAME_SOURCE)
def test_console_and_counter_are_the_ones_that_the_emulated_self_test_has(
    board: str, kind: ProjectKind, folder: str
) -> None:
    files = export_project(kind, bundle(board, GESTURE))
    prefixes = (f"{folder}cycles", f"{folder}console")
    assert {path.removeprefix(folder) for path in files if path.startswith(prefixes)} == (
        SAME_SOURCE[board, kind, folder]
    )
    for name in SAME_SOURCE[board, kind, folder]:
        banner, _, text = files[folder + name].partition("\n")
        assert "which overwrites this file at the next build" in banner
        assert text == (resource_path("firmware") / name).read_text()
    build = files.get("platformio.ini", "") + files.get("samples/selftest/CMakeLists.txt", "")
    if kind is not ProjectKind.ARDUINO:  # which compiles all that lies beside a sketch
        assert all(name in build for name in SAME_SOURCE[board, kind, folder] if not name.endswith(".h"))
