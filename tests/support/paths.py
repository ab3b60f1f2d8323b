"""Where models lie."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = tuple(ROOT / "examples" / name / f"{name}.tflite" for name in ("kws", "gesture", "vision"))
SHARED_MODELS = ROOT.parent / "shared" / "models"
SHARED_NAMES = (
    "mlperf_ad",
    "mlperf_ic",
    "mlperf_kws",
    "mlperf_sww",
    "mlperf_vww",
    "tflm_hello_world",
    "tflm_micro_speech",
    "tflm_person_detect",
)


def shared_model(name: str) -> Path:
    """A published model; the test skips where the folder of models does not lie beside the project."""
    path = SHARED_MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{name}.tflite is missing: put the published models into ../shared/models")
    return path
