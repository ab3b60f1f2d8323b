"""What `tinygen profile` prints: a table for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tinygen.ir import Tensor
from tinygen.report.changes import changes_json, changes_rows
from tinygen.report.fitting import narrower, short_kernel
from tinygen.report.manifest import kernels_named, layer_json
from tinygen.report.tables import facts, fitting_table, stack_text
from tinygen.validate.profile import LayerCost, Profile
from tinygen.version import VERSION

CYCLE_MODEL = "estimated: Cortex-M4, no wait states; rules in docs/profile.md"

COLUMNS = ("layer", "operator", "kernel", "shapes", "MACs", "instructions", "per MAC", "share", "cycles, est.")
NUMBERS = ("layer", *COLUMNS[4:])
NARROWER: tuple[dict[str, str | None], ...] = (
    {"kernel": "variant"},
    {"shapes": None},
    {"cycles, est.": None},
    {"MACs": None},
    {"per MAC": None},
)
"""What a terminal that is too narrow goes without, the first first."""


def profile_json(profile: Profile) -> dict[str, Any]:
    """What `profile --json` prints; counts are null where the emulator cannot count."""
    compiled, program, size = profile.compiled, profile.compiled.program, profile.size
    nodes = program.graph.nodes
    return {
        "model": program.graph.name,
        "model_sha256": compiled.model.sha256,
        "board": compiled.board.name,
        "target": compiled.board.target.name,
        "optimize": compiled.options.optimize.value,
        "kernels_named": kernels_named(compiled),
        "reference": compiled.options.reference.value,
        "tinygen": VERSION,
        "emulator": profile.emulator,
        "toolchain": profile.toolchain,
        "instructions": profile.instructions,
        "cycles_estimate": profile.cycles_estimate,
        "macs": program.graph.macs,
        "model_macs": compiled.model.graph.macs,
        "instructions_per_mac": _rounded(_per_mac(profile.instructions, program.graph.macs), 4),
        "arena_bytes": program.plan.arena_bytes,
        "lower_bound_bytes": program.plan.lower_bound_bytes,
        "flash_bytes": size.code_bytes + size.weights_bytes,
        "weights_bytes": size.weights_bytes,
        "code_bytes": size.code_bytes,
        "stack_bytes": profile.stack_bytes,
        "stack_bound_bytes": size.stack_bytes,
        "layers": [
            {
                **layer_json(program, layer),
                "instructions": cost.instructions,
                "instructions_per_mac": _rounded(
                    _per_mac(cost.instructions, nodes[layer.index].op.macs(nodes[layer.index])), 4
                ),
                "share": _rounded(_share(cost, profile), 6),
                "cycles_estimate": cost.cycles_estimate,
            }
            for layer, cost in zip(program.layers, profile.layers, strict=True)
        ],
        **changes_json(program.graph),
        "notes": [*compiled.model.notes, *profile.notes],
    }


def profile_summary(profile: Profile, choice: Sequence[tuple[str, str]] = ()) -> RenderableType:
    """What `profile` prints: a line a layer, then the totals; `choice` says why another --optimize was taken.

    In a narrow terminal the table has fewer columns; see NARROWER.
    """
    compiled, program, size = profile.compiled, profile.compiled.program, profile.size
    estimated = profile.cycles_estimate is not None
    per_mac = _per_mac(profile.instructions, program.graph.macs)
    rows = [
        ("model", f"{program.graph.name}: {len(program.layers)} layers, {program.graph.macs:,} MACs"),
        ("board", f"{compiled.board.name} in {profile.emulator}, built by {profile.toolchain}"),
        *choice,
        ("instructions", _count(profile.instructions) + (f", {per_mac:.2f} a MAC" if per_mac is not None else "")),
        *changes_rows(program.graph),
        *([("cycles", f"{_count(profile.cycles_estimate)}, {CYCLE_MODEL}")] if estimated else []),
        ("arena", f"{program.plan.arena_bytes:,} bytes (lower bound {program.plan.lower_bound_bytes:,})"),
        (
            "flash",
            f"{size.weights_bytes + size.code_bytes:,} bytes: weights {size.weights_bytes:,}, code {size.code_bytes:,}",
        ),
        ("stack", stack_text(profile.stack_bytes, size.stack_bytes)),
        *(("note", note) for note in (*compiled.model.notes, *profile.notes)),
    ]
    columns = COLUMNS if estimated else COLUMNS[:-1]
    return Group(fitting_table(_layer_rows(profile), narrower(columns, NARROWER), NUMBERS), Text(""), facts(rows))


def _layer_rows(profile: Profile) -> list[dict[str, str]]:
    """The cells of each layer by column."""
    program = profile.compiled.program
    rows = []
    for layer, cost in zip(program.layers, profile.layers, strict=True):
        node = program.graph.nodes[layer.index]
        inputs = [t for t in node.inputs if t is not None and not t.is_constant]
        macs, share = node.op.macs(node), _share(cost, profile)
        kernel = layer.instance.kernel.name if layer.instance else "(view)"
        rows.append(
            {
                "layer": str(layer.index),
                "operator": layer.op_name,
                "kernel": kernel,
                "variant": short_kernel(kernel),
                "shapes": f"{' '.join(map(_shape, inputs))} → {' '.join(map(_shape, node.outputs))}",
                "MACs": f"{macs:,}" if macs else "-",
                "instructions": _count(cost.instructions),
                "per MAC": _decimal(_per_mac(cost.instructions, macs)),
                "share": "-" if share is None else f"{100 * share:.1f} %",
                "cycles, est.": _count(cost.cycles_estimate),
            }
        )
    return rows


def _per_mac(instructions: int | None, macs: int) -> float | None:
    return instructions / macs if instructions is not None and macs else None


def _share(cost: LayerCost, profile: Profile) -> float | None:
    """Of the sum of the layers, so that the shares add up to one."""
    if cost.instructions is None:
        return None
    return cost.instructions / max(1, sum(layer.instructions or 0 for layer in profile.layers))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _shape(tensor: Tensor) -> str:
    """Without a batch of one, so that the table stays narrow."""
    shape = tensor.shape[1:] if len(tensor.shape) > 1 and tensor.shape[0] == 1 else tensor.shape
    return "×".join(map(str, shape)) or "scalar"
