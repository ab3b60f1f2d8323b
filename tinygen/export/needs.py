"""The board ids that exports need, and what to say where one is missing."""

from __future__ import annotations

from tinygen.boards import Board
from tinygen.errors import BoardError

_WHERE: dict[str, str] = {
    "platformio_platform": 'the `platform` of `pio boards`, such as "ststm32"',
    "platformio_board": 'the board\'s id in `pio boards`, such as "nucleo_l4r5zi"',
    "platformio_framework": 'one of the board\'s frameworks in `pio boards`, such as "arduino"',
    "arduino_fqbn": 'the board\'s FQBN in `arduino-cli board listall`, such as "arduino:mbed_nano:nano33ble"',
    "esp_idf_target": 'what `idf.py set-target` takes, such as "esp32s3" (only Espressif\'s chips have one)',
    "zephyr_board": 'what `west build -b` takes, such as "rpi_pico"',
}


def require_ids(board: Board, export: str, *keys: str) -> None:
    """Raise BoardError that names every missing key of the board's [project] table and what to write there."""
    missing = [key for key in keys if not getattr(board.project, key)]
    if missing:
        wanted = "; ".join(f"project.{key}, {_WHERE[key]}" for key in missing)
        raise BoardError(
            f"board {board.name}: --export {export} needs {wanted}. Add it to the table [project] of the board's TOML "
            "file (see docs/add-a-board.md), or choose another --export: cmake needs no id."
        )
