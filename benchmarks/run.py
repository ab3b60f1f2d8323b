"""Instructions, bytes and build seconds of all models, beside the anchors: Markdown, or JSON with --json.

    python benchmarks/run.py [--board nano33] [--json]

Instructions are one inference of the firmware as it ships, counted in emulation; models lie in examples/ and, where it
exists, ../shared/models.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import tinygen
from tinygen.toolchain import find_toolchain, measure
from tinygen.validate.inputs import random_inputs

ROOT = Path(__file__).resolve().parents[1]
ANCHORS = json.loads((ROOT / "benchmarks" / "anchors.json").read_text(encoding="utf-8"))
ANCHOR_TARGETS = {"cortex-m4f": "cortex-m4", "cortex-m0plus": "cortex-m0plus", "cortex-m7f": "cortex-m7"}


def model_paths() -> list[Path]:
    """Every model there is to measure."""
    examples = sorted((ROOT / "examples").glob("*/*.tflite"))
    return [*sorted((ROOT.parent / "shared" / "models").glob("*.tflite")), *examples]


def measure_model(path: Path, board: tinygen.Board) -> dict[str, Any]:
    """One row: sizes in bytes, instructions of one inference, seconds to generate the C."""
    started = time.perf_counter()
    compiled = tinygen.compile_model(tinygen.read_model(path), board)
    seconds = time.perf_counter() - started
    size = measure(compiled.sources.files, compiled.sources.name, board.target, find_toolchain(board.target))
    comparison = tinygen.validate(compiled, inputs=random_inputs(compiled.program.graph, 1, 0)[:1])
    anchor = ANCHORS["models"].get(path.stem, {}).get("tflm_cmsis_nn", {})
    anchor = anchor.get(ANCHOR_TARGETS.get(board.target.name, ""), {})
    return {
        "model": path.stem,
        "equal": comparison.equal,
        "instructions": comparison.instructions_max,
        "macs": compiled.program.graph.macs,
        "arena_bytes": compiled.program.plan.arena_bytes,
        "lower_bound_bytes": compiled.program.plan.lower_bound_bytes,
        "weights_bytes": size.weights_bytes,
        "code_bytes": size.code_bytes,
        "stack_bytes": comparison.stack_bytes,
        "generate_seconds": round(seconds, 3),
        "anchor_instructions": anchor.get("instructions"),
        "anchor_arena_bytes": anchor.get("arena_bytes"),
        "anchor_flash_bytes": anchor.get("flash_bytes"),
    }


def markdown(rows: list[dict[str, Any]], board: str) -> str:
    """The table, with the anchor (TFLM with CMSIS-NN) in brackets where there is one."""

    def cell(row: dict[str, Any], value: int | None, anchor: str) -> str:
        known = row.get(anchor)
        text = "-" if value is None else f"{value:,}"
        return f"{text} ({known:,})" if known else text

    lines = [
        f"Board {board}; in brackets TFLM with CMSIS-NN.",
        "",
        "| model | equal | instructions | per MAC | arena | flash | code | stack | seconds |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        per_mac = row["instructions"] / row["macs"] if row["instructions"] and row["macs"] else 0.0
        lines.append(
            f"| {row['model']} | {'yes' if row['equal'] else 'NO'} "
            f"| {cell(row, row['instructions'], 'anchor_instructions')} | {per_mac:.2f} "
            f"| {cell(row, row['arena_bytes'], 'anchor_arena_bytes')} "
            f"| {cell(row, row['weights_bytes'] + row['code_bytes'], 'anchor_flash_bytes')} "
            f"| {row['code_bytes']:,} | {row['stack_bytes'] or 0:,} | {row['generate_seconds']:.2f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures all models against the anchors.")
    parser.add_argument("--board", default="nano33")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    board = tinygen.load_board(options.board)
    rows = [measure_model(path, board) for path in model_paths()]
    print(json.dumps(rows, indent=2) if options.json else markdown(rows, board.name))
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
