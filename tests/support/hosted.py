"""Many models in one native program: each runs in a guarded arena that is painted, and shows every row."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygen.emit import emit
from tinygen.ir import Array, Graph, Reference
from tinygen.kernels import Schedule
from tinygen.lower import lower
from tinygen.plan import Plan
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import Inference, random_inputs

GUARD = 64
PAINTS = (0x5A, 0xA5)
COMPILER = shutil.which("gcc") or shutil.which("clang")
FLAGS = ("-std=c99", "-O0", "-g0", "-fno-strict-aliasing", "-DTINYGEN_VALIDATE")

HEAD = """\
#include <stdint.h>
#include <stdio.h>
#include <string.h>
static FILE *out;
static void put(int32_t value) { fwrite(&value, 4, 1, out); }
static void show(int32_t layer, int32_t output, const void *base, int32_t row_stride, int32_t ring_rows,
                 int32_t row_bytes, int32_t row_begin, int32_t row_end)
{
    put(layer); put(output); put(row_begin); put(row_end);
    for (int32_t row = row_begin; row < row_end; ++row) {
        fwrite((const uint8_t *)base + (row % ring_rows) * row_stride, 1, (size_t)row_bytes, out);
    }
}
"""

MODEL = """\
#include "{name}.h"
void {name}_validate_step(int32_t layer, int32_t output, const void *base, int32_t row_stride, int32_t ring_rows,
                          int32_t row_bytes, int32_t row_begin, int32_t row_end)
{{
    show(layer, output, base, row_stride, ring_rows, row_bytes, row_begin, row_end);
}}
static void run_{name}(FILE *in)
{{
    static struct {{ uint8_t before[{guard}], arena[{arena}], after[{guard}]; }} memory __attribute__((aligned(16)));
    static const int paints[] = {{ {paints} }};
    int32_t damaged = 0;
    memset(&memory, paints[{turn} % 2], sizeof memory);
{run}
    for (int32_t i = 0; i < {guard}; ++i) {{
        damaged += memory.before[i] != paints[{turn} % 2] || memory.after[i] != paints[{turn} % 2];
    }}
    put(-1); put(damaged);
}}
"""


RUN = """\
    for (int32_t i = 0; i < {inputs}; ++i) {{
        static const size_t sizes[] = {{ {sizes} }};
        fread({name}_input(memory.arena, i), 1, sizes[i], in);
    }}
    {name}_run(memory.arena);"""

PUSH = """\
    float row[{macro}_INPUT_ROW_BYTES / 4 + 1];
    int32_t taken = {name}_push_row(memory.arena, row) + {name}_finish(memory.arena);
    {name}_begin(memory.arena);
    {name}_begin(memory.arena);
    for (int32_t i = 0; i < {macro}_INPUT_ROWS; ++i) {{
        fread(row, 1, {macro}_INPUT_ROW_BYTES, in);
        taken += {name}_finish(memory.arena) + 2 * {name}_push_row(memory.arena, row);
    }}
    taken += {name}_push_row(memory.arena, row) + 2 * {name}_finish(memory.arena);
    taken += {name}_push_row(memory.arena, row) + {name}_finish(memory.arena);
    damaged += taken != 2 * {macro}_INPUT_ROWS + 2; /* too much or too little was taken */"""


@dataclass(frozen=True)
class Hosted:
    """A planned graph."""

    graph: Graph
    schedule: Schedule
    plan: Plan


def wrong_values(models: Sequence[Hosted], folder: Path) -> list[int]:
    """For each model how many values of all layers differ from numpy's; raises AssertionError for damage beside the
    arena, and for rows that are not shown once."""
    assert COMPILER is not None
    main, calls, data = [HEAD], [], []
    units = ["main.c"]
    inputs: list[Inference] = []
    for number, model in enumerate(models):
        name = f"model_{number}"
        program = lower(model.graph, model.schedule, model.plan, name, Reference.LITERT)
        for file, text in emit(program, model_sha256="0" * 64, target="host").files.items():
            (folder / file).write_text(text)
            if file.endswith(".c"):
                units.append(file)
        sizes = [tensor.size_bytes for tensor in model.graph.inputs]
        run = (RUN if model.graph.pushed is None else PUSH).format(
            name=name, macro=name.upper(), inputs=len(sizes), sizes=", ".join(map(str, sizes))
        )
        main.append(
            MODEL.format(
                name=name,
                guard=GUARD,
                arena=max(model.plan.arena_bytes, 1),
                run=run,
                paints=", ".join(map(str, PAINTS)),
                turn=number,
            )
        )
        calls.append(f"    run_{name}(in);")
        inputs.append(random_inputs(model.graph, 1, seed=number)[0])
        data += [np.ascontiguousarray(array).tobytes() for array in inputs[-1]]
    main.append('int main(void)\n{\n    FILE *in = fopen("in", "rb");\n    out = fopen("out", "wb");\n')
    main += [*calls, "    return fclose(in) + fclose(out);\n}\n"]
    (folder / "main.c").write_text("\n".join(main))
    (folder / "in").write_bytes(b"".join(data))
    subprocess.run([COMPILER, *FLAGS, *units, "-o", "hosted"], cwd=folder, check=True, capture_output=True)
    subprocess.run([folder / "hosted"], cwd=folder, check=True, timeout=120)
    output = (folder / "out").read_bytes()
    found, at = [], 0
    for model, arrays in zip(models, inputs, strict=True):
        expected = evaluate(model.graph, arrays, Reference.LITERT)
        wrong, at = _compare(model.graph, expected, output, at)
        found.append(wrong)
    assert at == len(output)
    return found


def _compare(graph: Graph, expected: Mapping[int, Array], output: bytes, at: int) -> tuple[int, int]:
    """Values that differ, and where the next model's output begins."""
    wrong = 0
    shown = {tensor.index: np.zeros(tensor.rows, np.int64) for node in graph.nodes for tensor in node.outputs}
    while True:
        layer, position = np.frombuffer(output, np.int32, 2, at).tolist()
        at += 8
        if layer < 0:
            assert position == 0, f"{position} bytes beside the arena were damaged"
            assert all((times == 1).all() for times in shown.values()), "a row was not shown once"
            return wrong, at
        begin, end = np.frombuffer(output, np.int32, 2, at).tolist()
        tensor = graph.nodes[layer].outputs[position]
        size = (end - begin) * tensor.row_bytes
        got = np.frombuffer(output, np.uint8, size, at + 8)
        wanted = np.ascontiguousarray(expected[tensor.index]).view(np.uint8).reshape(-1)
        wrong += int((got != wanted[begin * tensor.row_bytes : end * tensor.row_bytes]).sum())
        shown[tensor.index][begin:end] += 1
        at += 8 + size
