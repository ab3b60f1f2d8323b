"""Instructions and bytes of all models beside the bars and what other engines need: Markdown, or JSON with --json.

    python benchmarks/run.py [--board B] [--optimize MODE,…] [--reference litert|tflm] [--fast] [--json] [MODEL…]

Instructions are of one inference of the firmware as it ships, the same that `tinygen profile` counts in emulation;
models lie in examples/ and, where it exists, ../shared/models. Each is built and run once for each --optimize, or once
for several that come to the same C.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tinygen
from tinygen.emulate import Job, find_emulator
from tinygen.fit import check_fit
from tinygen.toolchain import Build, find_toolchain, measure
from tinygen.validate.inputs import as_bytes, random_inputs
from tinygen.validate.profile import SEED
from tinygen.validate.run import EMULATION_TIMEOUT_S, build_and_run, reference_tensors, silent

ROOT = Path(__file__).resolve().parents[1]
ANCHORS = json.loads((ROOT / "benchmarks" / "anchors.json").read_text(encoding="utf-8"))["models"]
BARS = json.loads((ROOT / "benchmarks" / "bars.json").read_text(encoding="utf-8"))
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
Row = dict[str, Any]


def model_paths() -> list[Path]:
    """Every model there is to measure."""
    examples = sorted((ROOT / "examples").glob("*/*.tflite"))
    return [*sorted((ROOT.parent / "shared" / "models").glob("*.tflite")), *examples]


def measure_model(
    path: Path, board: tinygen.Board, modes: Sequence[tinygen.Optimize], reference: tinygen.Reference, *, compare: bool
) -> Row:
    """One model: its anchor, and under each mode's name what was measured, with bars and ratios.

    `ratio_…` is what the anchor needs divided by what tinygen needs: above 1, tinygen needs less. `met_…` is null where
    there is no bar. Where the model cannot be built for the board, `problem` says why and no mode is there.
    """
    engine, name = ANCHOR_OF.get(board.target.name, ("", ""))
    known = ANCHORS.get(path.stem, {}).get(engine, {}).get(name, {})
    bars = BARS["models"].get(path.stem, {}) if board.target.name in BARS["targets"] else {}
    anchor = {key: known.get(key) for key in COMPARED}
    row: Row = {"model": path.stem, "problem": None, "macs": None, "anchor": anchor}
    texts: dict[str, Row] = {}
    expected = None
    for mode in modes:
        try:
            started = time.perf_counter()
            options = tinygen.Options(reference=reference, optimize=mode)
            compiled = tinygen.compile_model(tinygen.read_model(path), board, options)
            seconds = time.perf_counter() - started
            check_fit(compiled)
            if compare and expected is None:
                expected = reference_tensors(compiled, random_inputs(compiled.program.graph, 1, SEED)[:1])
            text = "".join(compiled.sources.files.values())
            texts[text] = texts.get(text) or _measure(compiled, expected)
        except tinygen.TinygenError as error:
            return {"model": path.stem, "problem": str(error), "anchor": anchor}
        row["macs"] = compiled.program.graph.macs
        row[mode.value] = {
            **texts[text],
            "generate_seconds": round(seconds, 3),
            **_judged(texts[text], anchor, bars.get(mode.value, {})),
        }
    return row


def _measure(compiled: tinygen.Compiled, expected: Any) -> Row:
    """Build, run once, and compare with the reference's tensors where there are any."""
    sources, target = compiled.sources, compiled.board.target
    inputs = random_inputs(compiled.program.graph, 1, SEED)[:1]
    if expected is not None:
        comparison = tinygen.validate(compiled, inputs=inputs, expected=expected)
        equal, count, stack = comparison.equal, comparison.instructions_max, comparison.stack_bytes
    else:
        runner = find_emulator(compiled.board, "auto")
        job = Job(as_bytes(inputs), tuple(t.size_bytes for t in compiled.program.graph.outputs), EMULATION_TIMEOUT_S)
        with tempfile.TemporaryDirectory(prefix="tinygen-") as folder:
            run, _ = build_and_run(compiled, runner, Build.RELEASE, Path(folder), job, silent)
        equal, count, stack = None, run.inferences[0].instructions, run.inferences[0].stack_bytes
    size = measure(sources.files, sources.name, target, find_toolchain(target))
    return {
        "equal": equal,
        "instructions": count,
        "arena_bytes": compiled.program.plan.arena_bytes,
        "lower_bound_bytes": compiled.program.plan.lower_bound_bytes,
        "weights_bytes": size.weights_bytes,
        "code_bytes": size.code_bytes,
        "flash_bytes": size.weights_bytes + size.code_bytes,
        "stack_bytes": stack,
    }


def _judged(measured: Row, anchor: Row, bars: Row) -> Row:
    judged: Row = {}
    for key in COMPARED:
        ours, theirs, bar = measured[key], anchor[key], bars.get(key)
        judged[f"ratio_{key}"] = round(theirs / ours, 3) if ours and theirs else None
        judged[f"bar_{key}"] = bar
        judged[f"met_{key}"] = ours <= bar if ours is not None and bar is not None else None
    return judged


def markdown(
    rows: Sequence[Row], board: tinygen.Board, modes: Sequence[tinygen.Optimize], reference: tinygen.Reference
) -> str:
    """The table: for each mode ours, the bar and the ratio to the anchor."""
    engine = ENGINES.get(ANCHOR_OF.get(board.target.name, ("", ""))[0])
    about = f"Board {board.name} ({board.target.name}), --reference {reference.value}, tinygen {tinygen.__version__}. "
    about += f"The anchor is {engine}; × is how many times ours it is. " if engine else "No anchors. "
    about += "Bars are what tinygen sets itself: met, or missed by so much."
    names = [mode.value for mode in modes]
    heads = ["model", "equal", "MACs", "anchor"]
    heads += [head for name in names for head in (name, "×", "a MAC", "bar")]
    heads += ["arena", *names[1:], "anchor", "×", "flash", *names[1:], "anchor", "×", "bar", "code", "stack"]
    lines = [about, "", _line(heads), "|" + "|".join(["---", "---", *["---:"] * (len(heads) - 2)]) + "|"]
    lines += [_line(_cells(row, names)) for row in rows if row["problem"] is None]
    lines += [f"\n{row['model']}: {row['problem']}" for row in rows if row["problem"] is not None]
    return "\n".join(lines)


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    first, macs = row[names[0]], row["macs"]
    verdicts = {row[name]["equal"] for name in names}
    cells = [row["model"], "NO" if False in verdicts else "-" if None in verdicts else "yes", _count(macs)]
    cells.append(_count(row["anchor"]["instructions"]))
    for name in names:
        mode = row[name]
        count = mode["instructions"]
        a_mac = count / macs if count is not None and macs else None
        cells += [_count(count), _ratio(mode["ratio_instructions"]), _ratio(a_mac), _bar(mode, "instructions")]
    for key in ("arena_bytes", "flash_bytes"):
        cells += [
            *(_count(row[name][key]) for name in names),
            _count(row["anchor"][key]),
            _ratio(first[f"ratio_{key}"]),
        ]
    return [*cells, _bar(first, "flash_bytes"), _count(first["code_bytes"]), _count(first["stack_bytes"])]


def _bar(mode: Row, key: str) -> str:
    bar, met = mode[f"bar_{key}"], mode[f"met_{key}"]
    if bar is None:
        return "-"
    return f"{bar:,} {'met' if met else 'not measured' if met is None else f'+{100 * (mode[key] / bar - 1):.1f} %'}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _modes(text: str) -> list[tinygen.Optimize]:
    try:
        return list(dict.fromkeys(tinygen.Optimize(word) for word in text.split(",")))
    except ValueError as error:
        known = ", ".join(mode.value for mode in tinygen.Optimize)
        raise argparse.ArgumentTypeError(f"{error}; known: {known}, several with commas between") from None


def main() -> int:
    """1 when a model's values differ from Python's."""
    parser = argparse.ArgumentParser(description="Measures all models against the bars and the anchors.")
    parser.add_argument("models", metavar="MODEL", nargs="*", type=Path, help="default: examples and ../shared/models")
    parser.add_argument("--board", default="nano33")
    parser.add_argument("--optimize", type=_modes, default="balanced,speed", metavar="MODE,…")
    parser.add_argument("--reference", choices=[r.value for r in tinygen.Reference], default="litert")
    parser.add_argument("--fast", action="store_true", help="leave out the comparison with Python")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    board, modes, reference = (
        tinygen.load_board(arguments.board),
        arguments.optimize,
        tinygen.Reference(arguments.reference),
    )
    rows = []
    for path in arguments.models or model_paths():
        started = time.perf_counter()
        rows.append(measure_model(path, board, modes, reference, compare=not arguments.fast))
        print(f"{path.stem}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    print(json.dumps(rows, indent=2) if arguments.json else markdown(rows, board, modes, reference))
    return 1 if any(row[mode.value]["equal"] is False for row in rows for mode in modes if mode.value in row) else 0


if __name__ == "__main__":
    sys.exit(main())
