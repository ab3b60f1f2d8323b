"""Tables and summaries for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tinygen.boards import Board
from tinygen.compile import Compiled
from tinygen.export import Bundle
from tinygen.ir import Graph, Kernel, Op, Tensor
from tinygen.ledger import CodeSize, ledger
from tinygen.program import Program
from tinygen.report.changes import changes_rows, producers
from tinygen.report.fitting import FirstThatFits, narrower, short_kernel
from tinygen.report.manifest import rule_sentence
from tinygen.tflite import ModelFile
from tinygen.toolchain import Tool
from tinygen.validate.arena import PaintDifference
from tinygen.validate.run import Comparison


def plain_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """The one look of tables: no frame, a rule under the head, numbers to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        is_number = column in right  # a folded number is another number
        whole = number == 0 or is_number
        table.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=whole)
    return table


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Two columns: what, value."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(label, Text(value))
    return table


def kilobytes(size_bytes: int | None) -> str:
    """Bytes with thousands separators, or a dash."""
    return "-" if size_bytes is None else f"{size_bytes:,} bytes"


def build_summary(
    bundle: Bundle,
    sizes: Sequence[CodeSize | None],
    folder: str,
    export: str,
    choice: Sequence[tuple[str, str]] = (),
) -> RenderableType:
    """What `build` prints when it is done; what to type next comes behind it.

    `choice` says why another --optimize was taken.
    """
    board = bundle.board
    rows = [("board", f"{board.name} ({board.title}), {board.target.name}"), *choice]
    for model, size in zip(bundle.models, sizes, strict=True):
        rows += _model_rows(model, size)
    rows += _ram_rows(bundle)
    known = [size for size in sizes if size is not None]
    flash = sum(size.code_bytes + size.weights_bytes for size in known)
    if len(known) == len(sizes):
        rows.append(("flash", f"{_share(flash, board.flash_bytes)}: it fits"))
    else:
        weights = sum(model.program.weights_bytes for model in bundle.models)
        rows.append(("flash", f"{_share(weights, board.flash_bytes)} without code; see `tinygen doctor`"))
    rows.append(("project", f"{folder}: {export}"))
    return facts(rows)


def _ram_rows(bundle: Bundle) -> list[tuple[str, str]]:
    """A line a memory that holds anything at run time."""
    board, place = bundle.board, bundle.models[0].placement
    arenas = "arena" if len(bundle.models) == 1 else "shared arena" if bundle.shared_arena else "arenas"
    used: dict[str, list[tuple[str, int]]] = {board.ram.name: []}
    used.setdefault((place.arena or board.ram).name, []).append((arenas, bundle.arena_bytes))
    used[board.ram.name].append(("stack", board.stack_bytes))
    if place.weights:
        used.setdefault(place.weights.name, []).append(("constants", place.constant_bytes))
    sizes = {memory.name: memory.size_bytes for memory in board.memories}
    rows = [
        (
            "RAM" if name == board.ram.name else name,
            f"{_share(sum(count for _, count in parts), sizes[name])}: "
            + ", ".join(f"{what} {count:,}" for what, count in parts),
        )
        for name, parts in used.items()
    ]
    sections = [section for section in (place.arena_section, place.weights_section) if section]
    if sections:
        rows.append(("linker", f"your linker script decides what {' and '.join(sections)} mean: docs/memories.md"))
    return rows


def _model_rows(model: Compiled, size: CodeSize | None) -> list[tuple[str, str]]:
    plan = model.program.plan
    code = kilobytes(size.code_bytes) if size else "unknown: no compiler found, or no pyelftools; see `tinygen doctor`"
    return [
        ("model", _headline(model.program)),
        ("arena", f"{plan.arena_bytes:,} bytes (lower bound {plan.lower_bound_bytes:,}): {_arena_text(model.program)}"),
        *changes_rows(model.program.graph),
        ("weights", kilobytes(model.program.weights_bytes)),
        ("code", code),
        ("stack", f"{size.stack_bytes:,} bytes at most" if size and size.stack_bytes is not None else "-"),
    ]


def _arena_text(program: Program) -> str:
    """What the arena's bytes are for, as far as there are any."""
    book = ledger(program)
    parts = {
        "activations": book.activation_bytes,
        "scratch": book.scratch_bytes,
        "state": book.state_bytes,
        "unused": book.unused_bytes,
    }
    return ", ".join(f"{what} {count:,}" for what, count in parts.items() if count) or "empty"


def _share(used: int, all_bytes: int) -> str:
    return f"{used:,} of {all_bytes:,} bytes, {100 * used / all_bytes:.0f} %"


def comparison_summary(comparison: Comparison, command: str, choice: Sequence[tuple[str, str]] = ()) -> RenderableType:
    """What `validate` prints when it is done; `command` repeats it, `choice` says why another --optimize was taken."""
    totals, compiled = comparison.totals, comparison.compiled
    low, high = comparison.instructions_min, comparison.instructions_max
    count = "not counted by this emulator" if low is None else f"{low:,}" if low == high else f"{low:,} to {high:,}"
    rows = [
        ("model", _headline(compiled.program)),
        ("board", f"{compiled.board.name} in {comparison.emulator}, built by {comparison.toolchain}"),
        ("reference", compiled.options.reference.value),
        *choice,
        (
            "compared",
            f"{totals.tensors_compared} tensors on {len(comparison.inputs)} inputs, {totals.values_compared:,} values",
        ),
        *changes_rows(compiled.program.graph),
        ("instructions", count),
        ("arena", _proved_arena(comparison)),
        ("stack", stack_text(comparison.stack_bytes, comparison.stack_bound_bytes)),
        *(("note", note) for note in (*compiled.model.notes, *comparison.notes)),
    ]
    difference = comparison.first_difference
    if difference is None and comparison.arena and comparison.arena.difference:
        return Group(facts(rows), *_paint_verdict(comparison.arena.difference), Text(f"reproduce: {command}"))
    if difference is None:
        verdict = Text("equal: every value of every layer is the reference's", style="bold green")
        return Group(facts(rows), verdict)
    where = ", ".join(map(str, difference.element))
    verdict = Text(
        f"different: {totals.values_different:,} values, by {totals.largest_difference:g} at most", style="bold red"
    )
    first = Text(
        f"first: inference {difference.inference}, layer {difference.layer} ({difference.op}), tensor "
        f"{difference.tensor!r}, element [{where}]: reference {difference.expected!r}, firmware {difference.found!r}"
    )
    return Group(facts(rows), verdict, first, Text(f"reproduce: {command}"))


def _proved_arena(comparison: Comparison) -> str:
    """The arena's bytes, and what running it between guards and in two paints came to."""
    text = kilobytes(comparison.compiled.program.plan.arena_bytes)
    if comparison.arena is None or not comparison.arena.holds:
        return text
    return f"{text}; nothing is written beside it, nothing depends on what it held before"


def _paint_verdict(difference: PaintDifference) -> tuple[Text, Text]:
    """What is wrong where equal inputs gave different results."""
    return (
        Text("different: a result depends on what the arena held before the inference", style="bold red"),
        Text(
            f"first: inference {difference.inference}, layer {difference.layer} ({difference.op}), tensor "
            f"{difference.tensor!r}, row {difference.row}"
        ),
    )


def stack_text(measured_bytes: int | None, bound_bytes: int | None) -> str:
    """What one inference used of its stack, and the most it may use by the compiler's report."""
    return kilobytes(measured_bytes) + ("" if bound_bytes is None else f", at most {bound_bytes:,}")


def _headline(program: Program) -> str:
    return f"{program.graph.name}: {len(program.layers)} layers, {program.graph.macs:,} MACs"


def model_summary(model: ModelFile) -> RenderableType:
    """What a model is: its size, inputs, outputs and oddities."""
    graph = model.graph
    constants = sum(t.size_bytes for t in graph.tensors() if t.is_constant)
    rows = [
        ("model", f"{graph.name}: {len(graph.nodes)} operators, {graph.macs:,} MACs, {constants:,} bytes of constants"),
        *(("input", f"{t.describe()} {t.name} ({_quant(t)})") for t in graph.inputs),
        *(("output", f"{t.describe()} {t.name} ({_quant(t)})") for t in graph.outputs),
        *(("note", note) for note in model.notes),
    ]
    return facts(rows)


def fit_summary(compiled: Compiled, choice: Sequence[tuple[str, str]] = ()) -> RenderableType:
    """That it fits, and what remains; `choice` says why another --optimize was taken."""
    board, program = compiled.board, compiled.program
    ram = program.plan.arena_bytes + board.stack_bytes
    rows = [
        ("RAM", f"arena and stack take {ram:,} of {board.ram_bytes:,} bytes of {board.name}"),
        ("flash", f"weights take {program.weights_bytes:,} of {board.flash_bytes:,} bytes"),
        *choice,
    ]
    return facts(rows)


def graph_table(graph: Graph) -> RenderableType:
    """The operators of a model file with shapes, quantisation and MACs."""
    numbers = ("operator", "MACs")
    table = plain_table("operator", "name", "inputs", "output", "scale, zero point", "MACs", right=numbers)
    for index, node in enumerate(graph.nodes):
        inputs = ", ".join(_brief(t) for t in node.inputs if t is not None)
        outputs = ", ".join(_brief(t) for t in node.outputs)
        quant = ", ".join(_quant(t) for t in node.outputs)
        table.add_row(str(index), node.op.name, inputs, outputs, quant, f"{node.op.macs(node):,}")
    return table


def layer_table(program: Program) -> RenderableType:
    """Kernels and places in the arena; in a narrow terminal without what is told elsewhere."""
    numbers = ("layer", "offset", "live bytes")
    rows = [
        {
            "layer": str(layer.index),
            "operator": layer.op_name,
            "kernel": (name := layer.instance.kernel.name if layer.instance else "(view)"),
            "variant": short_kernel(name),
            "output": ", ".join(_brief(t) for t in program.graph.nodes[layer.index].outputs),
            "offset": ", ".join(f"{view.offset_bytes:,}" for view in layer.sinks),
            "live bytes": f"{program.plan.live_bytes(layer.index):,}",
        }
        for layer in program.layers
    ]
    columns = ("layer", "operator", "kernel", "output", "offset", "live bytes")
    return fitting_table(rows, narrower(columns, ({"kernel": "variant"}, {"output": None})), numbers)


def fitting_table(
    rows: Sequence[Mapping[str, str]], columns: Iterable[Sequence[str]], right: Sequence[str]
) -> FirstThatFits:
    """A table of rows by column, with the first of the lists of columns that the terminal is wide enough for.

    "variant" is headed "kernel": it is a kernel's name without its operator's.
    """
    tables = []
    for names in columns:
        table = plain_table(*("kernel" if name == "variant" else name for name in names), right=right)
        for row in rows:
            table.add_row(*(row[name] for name in names))
        tables.append(table)
    return FirstThatFits(tables)


def reduction_table(graph: Graph) -> RenderableType:
    """The tensors with channels that are not computed, a line each; fillers are computed, though constant."""
    numbers = ("layer", "channels", "computed", "fillers", "constant", "unused")
    table = plain_table("layer", "tensor", *numbers[1:], right=numbers)
    layers = producers(graph)
    for index, reduction in graph.reductions.items():
        parts = (reduction.kept, reduction.fillers, reduction.constants, reduction.unused)
        counts = (reduction.full.shape[-1], *map(len, parts))
        table.add_row(str(layers[index]), reduction.full.name, *(f"{count:,}" for count in counts))
    return table


def board_table(boards: Iterable[Board]) -> RenderableType:
    """All boards, a line each."""
    table = plain_table(
        "board", "chip", "target", "clock", "flash", "RAM", "emulators", right=("clock", "flash", "RAM")
    )
    for board in boards:
        emulation = board.emulation
        names = [
            *(["unicorn"] if emulation.unicorn else []),
            *(["qemu"] if emulation.qemu_machine else []),
            *(["renode"] if emulation.renode_cpu else []),
        ]
        table.add_row(
            board.name,
            board.chip,
            board.target.name,
            f"{board.clock_hz / 1e6:g} MHz",
            f"{board.flash_bytes // 1024} KB",
            f"{board.ram_bytes / 1024:g} KB",
            ", ".join(names),
        )
    return table


def board_details(board: Board) -> RenderableType:
    """One board in full."""
    rows = [
        ("board", f"{board.name}: {board.title}"),
        ("chip", board.chip),
        ("target", f"{board.target.name} ({', '.join(sorted(board.target.features)) or 'no optional features'})"),
        ("clock", f"{board.clock_hz:,} Hz"),
        *(("memory", f"{m.name} {m.kind.value} 0x{m.origin:08x}, {m.size_bytes:,} bytes") for m in board.memories),
        ("boot", board.boot.value if board.boot else ""),
        ("qemu", board.emulation.qemu_machine),
        ("console", f"{board.console.uart.value} {board.console.name}".strip()),
        ("about", board.description),
    ]
    return facts(row for row in rows if row[1])


def op_table(ops: Iterable[type[Op]]) -> RenderableType:
    """All operators, a line each."""
    table = plain_table("operator", "version", "kernels", right=("version",))
    for op in ops:
        table.add_row(op.name, f"<= {op.version}", ", ".join(kernel.name for kernel in op.kernels))
    return table


def op_details(op: type[Op]) -> RenderableType:
    """One operator: what it demands, in the words of its constraints."""
    rows = [
        ("operator", f"{op.name}, up to version {op.version}"),
        *(("rule", rule_sentence(rule)) for rule in op.constraints),
        *(("kernel", _kernel_line(kernel)) for kernel in op.kernels),
    ]
    return facts(rows)


def _kernel_line(kernel: Kernel) -> str:
    """A kernel's name, and what it needs."""
    features = f"needs {', '.join(sorted(kernel.features))}." if kernel.features else "for every core."
    return " ".join([f"{kernel.name}: {features}", *map(rule_sentence, kernel.constraints)])


def tool_table(tools: Iterable[Tool]) -> RenderableType:
    """What is installed, and how to get what is not."""
    table = plain_table("tool", "found", "what for", "how to get it")
    for tool in tools:
        found = Text(tool.version or "no", style="green" if tool.version else "yellow")
        table.add_row(tool.name, found, tool.purpose, "" if tool.version else tool.install)
    return table


def _brief(tensor: Tensor) -> str:
    constant = " const" if tensor.is_constant else ""
    return tensor.describe() + constant


def _quant(tensor: Tensor) -> str:
    if tensor.quant is None:
        return "-"
    if not tensor.quant.is_per_tensor:
        return f"{len(tensor.quant.scales)} scales"
    return f"{tensor.quant.scale:.6g}, {tensor.quant.zero_point}"
