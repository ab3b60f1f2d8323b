"""What `tinygen demo` shows: one example from file to proof, and where to go next."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from tinygen.boards import Board
from tinygen.compile import Compiled
from tinygen.export import ProjectKind, default_kind
from tinygen.ledger import CodeSize
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
        *_next_steps(board),
    ]
    return Text("\n".join(lines))


def _next_steps(board: Board) -> list[str]:
    """The commands for a model of the user's, from a look at it to the board's own word."""
    ids = board.project
    kinds = {
        ProjectKind.ARDUINO: ids.arduino_fqbn,
        ProjectKind.ESP_IDF: ids.esp_idf_target,
        ProjectKind.ZEPHYR: ids.zephyr_board,
        ProjectKind.CMAKE: ProjectKind.CMAKE.value,  # it needs no id
    }
    default = default_kind(board)
    others = ", ".join(kind.value for kind, name in kinds.items() if name and kind is not default)
    project = "a PlatformIO project; in its folder, pio run -t upload flashes it"
    rows = [
        ("inspect", "", "what is in it, and does it fit"),
        ("build", "", project if default is ProjectKind.PLATFORMIO else "a CMake project; its README has the commands"),
        ("validate", "", "the same proof for it"),
    ]
    if others:
        rows.insert(2, ("build", " --export KIND", f"the same for {others}"))
    if board.runs_in_renode:
        rows.append(("validate", " --emulator renode", "the same in Renode; docs/ci.md for your CI"))
    if default is ProjectKind.PLATFORMIO:
        rows.append(("validate", " --port /dev/ttyACM0", "what the flashed board itself says"))
    commands = [f"  tinygen {verb} model.tflite --board {board.name}{more}" for verb, more, _ in rows]
    width = max(map(len, commands)) + 3
    steps = [f"{command:{width}}{what}" for command, (*_, what) in zip(commands, rows, strict=True)]
    return [*steps, "Other boards: tinygen boards. What is installed: tinygen doctor."]
