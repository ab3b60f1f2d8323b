"""PAD of zero points around rows and columns becomes the border of the convolution that reads it.

A convolution's window adds nothing where it sees the zero point, as it does beside the input. So the padded tensor need
not exist: the window slides over the unpadded one and a border (`tinygen.ops.window.Border`).
"""

from __future__ import annotations

from dataclasses import fields, replace

from tinygen.ir import Fusion, Graph, Node, Reference
from tinygen.ops.conv2d import BorderedConv2D, Conv2D
from tinygen.ops.depthwise_conv2d import BorderedDepthwiseConv2D, DepthwiseConv2D
from tinygen.ops.pad import Pad, PadV2, paddings, value_of
from tinygen.ops.window import NO_BORDER, Border, Window, filter_windows
from tinygen.passes.readers import private_tensors


def fuse_padding(graph: Graph, reference: Reference) -> Graph:
    """Take each PAD into the convolution behind it, where nothing else needs its output."""
    private = private_tensors(graph)
    pads = {node.output.index: node for node in graph.nodes if isinstance(node.op, Pad | PadV2)}
    fusions: list[Fusion] = []
    nodes: list[Node] = []
    for node in graph.nodes:
        while isinstance(node.op, Conv2D | DepthwiseConv2D) and node.input(0).index in pads.keys() & private:
            pad = pads[node.input(0).index]
            bordered = _bordered(node, pad)
            if bordered is None:
                break
            node = bordered
            fusions.append(Fusion(pad.output, pad.op.name, pad.index, node.index))
        nodes.append(node)
    gone = {fusion.tensor.index for fusion in fusions}
    kept = tuple(node for node in nodes if not any(t.index in gone for t in node.outputs))
    return replace(graph, nodes=kept, fusions=(*graph.fusions, *fusions))


def _bordered(node: Node, pad: Node) -> Node | None:
    """The convolution on the PAD's input, or None where that would compute something else."""
    source, padded, op = pad.input(0), pad.output, node.op
    assert isinstance(op, Conv2D | DepthwiseConv2D)
    if len(source.shape) != 4 or source.is_constant or value_of(pad) != padded.zero_point:
        return None
    if source.quant is None or (source.scale, source.zero_point) != (padded.scale, padded.zero_point):
        return None
    _, batch, down, across, channels = paddings(pad)
    if batch != (0, 0) or channels != (0, 0):
        return None
    inner = op.border if isinstance(op, BorderedConv2D | BorderedDepthwiseConv2D) else NO_BORDER
    border = Border(inner.top + down[0], inner.bottom + down[1], inner.left + across[0], inner.right + across[1])
    fused = replace(node, op=_with_border(op, border), inputs=(source, *node.inputs[1:]))
    windows = filter_windows(fused)
    reaches = all(_always_reaches(window, size) for window, size in zip(windows, source.shape[1:3], strict=True))
    return fused if reaches else None


def _with_border(op: Conv2D | DepthwiseConv2D, border: Border) -> BorderedConv2D | BorderedDepthwiseConv2D:
    """The operator with its attributes and a border."""
    plain = Conv2D if isinstance(op, Conv2D) else DepthwiseConv2D
    attributes = {field.name: getattr(op, field.name) for field in fields(plain)}
    if isinstance(op, Conv2D):
        return BorderedConv2D(**attributes, border=border)
    return BorderedDepthwiseConv2D(**attributes, border=border)


def _always_reaches(window: Window, size: int) -> bool:
    """Whether every window spans some element of the axis, so that an output row always has input rows."""
    extent = (window.taps - 1) * window.dilation + 1
    return window.before < extent and (window.output - 1) * window.stride - window.before < size
