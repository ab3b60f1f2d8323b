"""What `tinygen demo` shows: one example from file to proof, and where to go next."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from tinygen.compile import Compiled
from tinygen.toolchain import CodeSize
from tinygen.validate.run import Comparison

EXAMPLES = {
    "kws": "ten spoken-tone commands told apart, from 49 frames of sound",
    "gesture": "seven hand gestures told apart, from 128 samples of an accelerometer",
    "vision": "eight shapes told apart, in 48x48 colour pictures",
}
"""The models that come with tinygen."""


def demo_summary(what: str, compiled: Compiled, size: CodeSize | None, comparison: Comparison) -> RenderableType:
    """What `demo` prints: the steps in the user's words, and where to go next."""
    graph, board, plan = compiled.program.graph, compiled.board, compiled.program.plan
    code = f"{size.code_bytes:,} bytes of code and {size.weights_bytes:,} of weights in flash" if size else "code"
    totals = comparison.totals
    milliseconds = (comparison.instructions_max or 0) / board.clock_hz * 1000
    lines = [
        f"{graph.name}: {what}. Trained by this project, {len(graph.nodes)} layers, {graph.macs:,} MACs.",
        "",
        f"1. read      the .tflite file, {len(compiled.model.data):,} bytes, every offset and shape checked",
        f"2. plan      {plan.arena_bytes:,} bytes of RAM for all tensors; no plan can need less than "
        f"{plan.lower_bound_bytes:,} with these kernels",
        f"3. generate  C for {board.title}: {code}, no malloc, no runtime",
        f"4. compile   with {comparison.toolchain}, into firmware at the chip's own addresses",
        f"5. emulate   in {comparison.emulator}: {comparison.instructions_max or 0:,} instructions an inference, "
        f"about {milliseconds:.0f} ms at one instruction a cycle and {board.clock_hz / 1e6:g} MHz",
        f"6. compare   {totals.values_compared:,} values of {totals.tensors_compared} layers with the Python reference "
        f"on {len(comparison.inputs)} inputs: "
        + ("all equal, bit for bit" if comparison.equal else f"{totals.values_different:,} DIFFER"),
        "",
        "Your own int8 model:",
        f"  tinygen inspect model.tflite --board {board.name}     what is in it, and does it fit",
        f"  tinygen build model.tflite --board {board.name}       the C, ready for your project",
        f"  tinygen validate model.tflite --board {board.name}    the same proof for it",
        "Other boards: tinygen boards. What is installed: tinygen doctor.",
    ]
    return Text("\n".join(lines))
