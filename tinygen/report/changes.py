"""What passes left out of a model, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygen.ir import Graph

Json = dict[str, Any]


def changes_json(graph: Graph) -> Json:
    """Every tensor that the C does not compute, and every one of which it computes some channels only.

    `operator` (that is gone) and `into` (that does its work) are indices of operators in the model file. `kept`,
    `constants.channels` and `unused` are indices along the last axis of the tensor in the model file, and together all
    of them; `constants.values` are what the constant channels hold for every input. `fillers` are those of `kept` that
    are constant too.
    """
    layers = producers(graph)
    return {
        "reduced_tensors": [
            {
                "tensor": index,
                "name": reduction.full.name,
                "layer": layers[index],
                "channels": reduction.full.shape[-1],
                "dropped": reduction.dropped,
                "kept": list(reduction.kept),
                "fillers": list(reduction.fillers),
                "constants": {
                    "channels": list(reduction.constants),
                    "values": list(reduction.constants.values()),
                },
                "unused": list(reduction.unused),
            }
            for index, reduction in graph.reductions.items()
        ],
        "fused_tensors": [
            {
                "tensor": fusion.tensor.index,
                "name": fusion.tensor.name,
                "op": fusion.op,
                "operator": fusion.operator,
                "into": fusion.into,
            }
            for fusion in graph.fusions
        ],
    }


def changes_rows(graph: Graph) -> list[tuple[str, str]]:
    """Lines of facts, or none where nothing was left out."""
    return [*fusion_rows(graph), *_channel_rows(graph)]


def fusion_rows(graph: Graph) -> list[tuple[str, str]]:
    """A line of facts for each operator that another one does."""
    return [
        ("fused", f"{fusion.op}, operator {fusion.operator}, into operator {fusion.into}") for fusion in graph.fusions
    ]


def _channel_rows(graph: Graph) -> list[tuple[str, str]]:
    if not graph.reductions:
        return []
    channels = {t.index: t.shape[-1] for node in graph.nodes for t in node.outputs if t.shape}
    channels |= {index: reduction.full.shape[-1] for index, reduction in graph.reductions.items()}
    constant = sum(len(r.constants) for r in graph.reductions.values())
    unused = sum(len(r.unused) for r in graph.reductions.values())
    text = f"{constant + unused:,} of {sum(channels.values()):,} are not computed: {constant:,} are constant"
    text += f", nothing depends on {unused:,}" if unused else ""
    fillers = sum(len(r.fillers) for r in graph.reductions.values())
    text += f"; {fillers:,} are constant, but fill words or borders" if fillers else ""
    return [("channels", f"{text}; `tinygen inspect --board` lists them")]


def producers(graph: Graph) -> Mapping[int, int]:
    """Tensor → the position of the node that makes it."""
    return {tensor.index: layer for layer, node in enumerate(graph.nodes) for tensor in node.outputs}
