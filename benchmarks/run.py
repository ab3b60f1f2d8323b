"""Instructions and bytes of all models beside what other engines need: Markdown, or JSON with --json.

    python benchmarks/run.py [--board nano33] [--optimize balanced] [--reference litert] [--fast] [--json] [MODEL…]

Instructions are of one inference of the firmware as it ships, counted in emulation by `tinygen profile`; models lie in
examples/ and, where it exists, ../shared/models.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import tinygen
from tinygen.fit import check_fit
from tinygen.report.profile import profile_json
from tinygen.validate.inputs import random_inputs

ROOT = Path(__file__).resolve().parents[1]
ANCHORS = json.loads((ROOT / "benchmarks" / "anchors.json").read_text(encoding="utf-8"))["models"]
ENGINES = {
    "tflm_cmsis_nn": "TFLM with CMSIS-NN",
    "tflm_reference": "TFLM's reference kernels",
    "esp_nn": "ESP-NN's kernels alone",
}
# By target: which engine the anchors know there, and what they call the target.
ANCHOR_OF = {
    "cortex-m0": ("tflm_cmsis_nn", "cortex-m0plus"),
    "cortex-m0plus": ("tflm_cmsis_nn", "cortex-m0plus"),
    "cortex-m4": ("tflm_cmsis_nn", "cortex-m4"),
    "cortex-m4f": ("tflm_cmsis_nn", "cortex-m4"),
    "cortex-m7f": ("tflm_cmsis_nn", "cortex-m7"),
    "cortex-m7fd": ("tflm_cmsis_nn", "cortex-m7"),
    "cortex-m55": ("tflm_cmsis_nn", "cortex-m55"),
    "rv32imc": ("tflm_reference", "rv32imc"),
    "xtensa-lx6": ("esp_nn", "xtensa-lx6"),
}
COMPARED = ("instructions", "arena_bytes", "flash_bytes")
SIZES = ("arena_bytes", "lower_bound_bytes", "weights_bytes", "code_bytes", "flash_bytes", "stack_bytes")
Row = dict[str, Any]


def model_paths() -> list[Path]:
    """Every model there is to measure."""
    examples = sorted((ROOT / "examples").glob("*/*.tflite"))
    return [*sorted((ROOT.parent / "shared" / "models").glob("*.tflite")), *examples]


def measure_model(path: Path, board: tinygen.Board, options: tinygen.Options, *, compare: bool) -> Row:
    """One row. `ratio_…` is what the anchor needs divided by what tinygen needs: above 1, tinygen needs less.

    Where the model cannot be built for the board, `problem` says why and there is nothing else.
    """
    try:
        started = time.perf_counter()
        compiled = tinygen.compile_model(tinygen.read_model(path), board, options)
        seconds = time.perf_counter() - started
        check_fit(compiled, compiled.program.weights_bytes)
        measured = profile_json(tinygen.profile(compiled))
        inputs = random_inputs(compiled.program.graph, 1, 0)
        equal = tinygen.validate(compiled, inputs=inputs).equal if compare else None
    except tinygen.TinygenError as error:
        return {"model": path.stem, "equal": None, "problem": str(error)}
    engine, name = ANCHOR_OF.get(board.target.name, ("", ""))
    anchor = ANCHORS.get(path.stem, {}).get(engine, {}).get(name, {})
    row: Row = {
        "model": path.stem,
        "equal": equal,
        "problem": None,
        **{key: measured[key] for key in ("instructions", "instructions_per_mac", "cycles_estimate", "macs", *SIZES)},
        "generate_seconds": round(seconds, 3),
    }
    for key in COMPARED:
        ours, theirs = measured[key], anchor.get(key)
        row[f"anchor_{key}"] = theirs
        row[f"ratio_{key}"] = round(theirs / ours, 3) if ours and theirs else None
    return row


def markdown(rows: list[Row], board: tinygen.Board, options: tinygen.Options) -> str:
    """The table: ours, the anchor's and the ratio of each compared figure."""
    engine = ENGINES.get(ANCHOR_OF.get(board.target.name, ("", ""))[0])
    about = f"Board {board.name} ({board.target.name}), --optimize {options.optimize.value}, --reference "
    about += f"{options.reference.value}, tinygen {tinygen.__version__}. "
    about += f"Beside each figure that of {engine}, and ×: how many times ours it is." if engine else "No anchors."
    heads = ["model", "equal", "MACs", "instructions", "anchor", "×", "per MAC", "cycles, estimated"]
    heads += ["arena", "anchor", "×", "flash", "anchor", "×", "weights", "code", "stack"]
    lines = [about, "", _line(heads), "|" + "|".join(["---", "---", *["---:"] * (len(heads) - 2)]) + "|"]
    for row in rows:
        if row["problem"] is None:
            lines.append(_line(_cells(row)))
    lines += [f"\n{row['model']}: {row['problem']}" for row in rows if row["problem"] is not None]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    def compared(key: str) -> list[str]:
        return [_count(row[key]), _count(row[f"anchor_{key}"]), _ratio(row[f"ratio_{key}"])]

    return [
        row["model"],
        {True: "yes", False: "NO", None: "-"}[row["equal"]],
        _count(row["macs"]),
        *compared("instructions"),
        _ratio(row["instructions_per_mac"]),
        _count(row["cycles_estimate"]),
        *compared("arena_bytes"),
        *compared("flash_bytes"),
        *(_count(row[key]) for key in ("weights_bytes", "code_bytes", "stack_bytes")),
    ]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> int:
    """1 when a model's values differ from Python's."""
    parser = argparse.ArgumentParser(description="Measures all models against the anchors.")
    parser.add_argument("models", metavar="MODEL", nargs="*", type=Path, help="default: examples and ../shared/models")
    parser.add_argument("--board", default="nano33")
    parser.add_argument("--optimize", choices=[o.value for o in tinygen.Optimize], default="balanced")
    parser.add_argument("--reference", choices=[r.value for r in tinygen.Reference], default="litert")
    parser.add_argument("--fast", action="store_true", help="leave out the comparison with Python")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    board = tinygen.load_board(arguments.board)
    options = tinygen.Options(
        reference=tinygen.Reference(arguments.reference), optimize=tinygen.Optimize(arguments.optimize)
    )
    rows = []
    for path in arguments.models or model_paths():
        print(path.stem, file=sys.stderr)
        rows.append(measure_model(path, board, options, compare=not arguments.fast))
    print(json.dumps(rows, indent=2) if arguments.json else markdown(rows, board, options))
    return 0 if all(row["equal"] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
