"""Seconds from .tflite to C on disk, through the command line: python benchmarks/build_time.py"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.mobilenet import mobilenet_v2  # noqa: E402 (found beside this file, not installed)


def seconds(model: Path, board: str, folder: Path) -> float:
    """Wall-clock time of one `tinygen build`, start of Python included."""
    started = time.perf_counter()
    command = ["tinygen", "build", str(model), "--board", board, "-o", str(folder), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = folder / "mobilenet_v2.tflite"
        large.write_bytes(mobilenet_v2())
        models = [
            *sorted((ROOT.parent / "shared" / "models").glob("*.tflite")),
            *sorted(ROOT.glob("examples/*/*.tflite")),
        ]
        for model in models:
            print(f"{model.stem:24} {seconds(model, 'nucleo-l4r5zi', folder / model.stem):6.2f} s")
        print(f"{large.stem:24} {seconds(large, 'mps2-an386', folder / 'large'):6.2f} s")


if __name__ == "__main__":
    main()
