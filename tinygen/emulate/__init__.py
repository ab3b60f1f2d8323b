"""Emulators: running firmware and reading back what it computed."""

from __future__ import annotations

from tinygen.emulate.base import OTHER_PAINT, PAINT, Emulator, Inference, Job, Progress, Run, Step
from tinygen.emulate.find import EMULATORS, find_emulator, survey
from tinygen.emulate.lines import SelfTest
from tinygen.emulate.selftest import run_selftest

__all__ = [
    "EMULATORS",
    "OTHER_PAINT",
    "PAINT",
    "Emulator",
    "Inference",
    "Job",
    "Progress",
    "Run",
    "SelfTest",
    "Step",
    "find_emulator",
    "run_selftest",
    "survey",
]
