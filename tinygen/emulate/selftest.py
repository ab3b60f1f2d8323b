"""Runs the self-test with vectors inside, as a board would: reads its console until the last line."""

from __future__ import annotations

from tinygen.emulate.find import find_emulator
from tinygen.emulate.lines import SelfTest
from tinygen.emulate.selftest_qemu import run_in_qemu
from tinygen.emulate.selftest_unicorn import run_in_unicorn
from tinygen.errors import EmulatorError, ToolError
from tinygen.toolchain import Firmware, Platform

_RUNNERS = {"unicorn": run_in_unicorn, "qemu": run_in_qemu}


def run_selftest(firmware: Firmware, emulator_name: str, *, timeout_s: float) -> SelfTest:
    """Runs the firmware from reset until its PASS or FAIL line, and to its halt where the emulator can tell.

    Raises ToolError where the emulator is missing or cannot run the board, EmulatorError when the last line does not
    come in time.
    """
    emulator = find_emulator(firmware.board, emulator_name)
    if firmware.platform not in (Platform.SELF_TEST, Platform.SELF_TEST_SIM):
        raise EmulatorError(
            f"{firmware.name}: this firmware has no vectors inside; it is for {firmware.platform.value}."
        )
    runner = _RUNNERS.get(emulator.name)
    if runner is None:
        raise ToolError(f"emulator {emulator.name}: it runs no board's firmware. Known here: {', '.join(_RUNNERS)}.")
    return runner(firmware, timeout_s)
