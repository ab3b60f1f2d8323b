"""Ways out of a model that does not fit: changes that a user can make, each planned for real, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from tinygen.attempts import HARDER, Choice
from tinygen.boards import Board
from tinygen.budgets import Budgets, Resource
from tinygen.compile import Compiled, InputForm, compile_model
from tinygen.errors import TinygenError
from tinygen.fit import constant_layers, find_misses, peak_layers
from tinygen.ir import Graph, Shape, Tensor
from tinygen.kernels import Optimize
from tinygen.ledger import CodeSize
from tinygen.variants import channel_group, resized, without_float_edges

EIGHTHS = (7, 6, 5, 4, 3, 2)
"""Sizes of an input that are tried, in eighths of its sides."""

QUARTERS = (3, 2, 1)
"""Widths of the whole network that are tried, in quarters of its channels."""

CHANNELS = 4
"""Channels are cut to multiples of this: kernels like it, and so few plans find the number."""

SMALLEST_PICTURE = 16
"""A map at least so high and wide is scaled in both directions; of a narrower one (sound, say) the longer is time."""


class Kind(Enum):
    """What a way out changes."""

    NOTHING = "as it is"
    OPTIMIZE = "--optimize"
    ROWS = "--input rows"
    EDGES = "int8 edges"
    INPUT = "smaller input"
    CHANNELS = "fewer channels"


@dataclass(frozen=True, slots=True)
class WayOut:
    """One change, and what the model would need then. Code is taken to be as large as the model's own.

    `in_model` says that it is another model, to be converted or trained again. `optimize` is what such a one would be
    built with: the option that was taken, or the first harder one that fits, which a build would find.
    """

    kind: Kind
    change: str
    arena_bytes: int
    weights_bytes: int
    macs: int
    fits: bool
    optimize: Optimize

    @property
    def in_model(self) -> bool:
        return self.kind not in (Kind.NOTHING, Kind.OPTIMIZE, Kind.ROWS)


def find_ways_out(choice: Choice, budgets: Budgets) -> tuple[WayOut, ...]:
    """The model as it is, then all that is known to make it smaller; what cannot be done to this graph is left out."""
    search = _Search(choice, budgets)
    return (
        search.way(Kind.NOTHING, f"--optimize {choice.taken.optimize.value}", choice.compiled),
        *search.options(),
        *search.rows(),
        *search.edges(),
        *search.inputs(),
        *search.channels(),
        *search.widths(),
    )


class _Search:
    """The model, its limits, and what was planned already."""

    def __init__(self, choice: Choice, budgets: Budgets) -> None:
        self.choice = choice
        self.budgets = budgets
        self.base: Compiled = choice.compiled
        self.graph: Graph = self.base.model.graph
        self.fits = choice.taken.fits
        self.board: Board = self.base.board
        sizes = [attempt.sizes[0] for attempt in choice.attempts if attempt.sizes[0] is not None]
        self.code: CodeSize | None = sizes[0] if sizes else None

    def way(self, kind: Kind, change: str, compiled: Compiled) -> WayOut:
        program = compiled.program
        fits = not self.misses(compiled)
        fits &= all(attempt.fits for attempt in self.choice.attempts if attempt.models[0] is compiled)
        optimize = compiled.options.optimize
        return WayOut(kind, change, program.plan.arena_bytes, program.weights_bytes, program.graph.macs, fits, optimize)

    def misses(self, compiled: Compiled) -> list[Resource]:
        """Which of the two memories does not suffice."""
        program = compiled.program
        size = self.code and replace(self.code, weights_bytes=program.weights_bytes)
        found = find_misses([compiled], [size], program.plan.arena_bytes, self.budgets)
        return [miss.resource for miss in found if miss.resource in (Resource.RAM, Resource.FLASH)]

    def options(self) -> Iterator[WayOut]:
        """Every other --optimize, those that were tried already as they came out."""
        known = {attempt.optimize: attempt.models[0] for attempt in self.choice.attempts}
        for optimize in Optimize:
            if optimize is not self.choice.taken.optimize:
                options = replace(self.base.options, optimize=optimize)
                compiled = known.get(optimize) or compile_model(self.base.model, self.board, options)
                yield self.way(Kind.OPTIMIZE, f"--optimize {optimize.value}", compiled)

    def rows(self) -> Iterator[WayOut]:
        """The input pushed row by row, with the option that was taken and for the smallest arena."""
        if self.base.options.input_form is InputForm.ROWS:
            return
        for optimize in dict.fromkeys((self.choice.taken.optimize, Optimize.RAM)):
            options = replace(self.base.options, input_form=InputForm.ROWS, optimize=optimize, kernels={})
            try:
                compiled = compile_model(self.base.model, self.board, options)
            except TinygenError:  # there are no rows to push
                return
            yield self.way(Kind.ROWS, f"--input rows --optimize {optimize.value}", compiled)

    def edges(self) -> Iterator[WayOut]:
        """Integer inputs and outputs instead of float ones."""
        graph = without_float_edges(self.graph)
        if graph is not None and (compiled := self._compiled(graph)):
            yield self.way(Kind.EDGES, "int8 inputs and outputs instead of float", compiled)

    def inputs(self) -> Iterator[WayOut]:
        """The largest input in smaller sizes, down to the first that fits."""
        largest = max(self._maps(), key=lambda pair: pair[1].elements, default=None)
        if largest is None:
            return
        source, pixels = largest
        tried = {pixels.shape}
        for eighths in EIGHTHS:
            shape = _scaled(pixels.shape, eighths)
            if shape in tried:
                continue
            tried.add(shape)
            whole = (
                shape if source is pixels else (*source.shape[:-1], math.prod(shape) // math.prod(source.shape[:-1]))
            )
            compiled = self._resized({source.index: whole, pixels.index: shape}, {})
            if compiled is None:
                continue
            way = self.way(Kind.INPUT, f"an input of {_size(shape)} instead of {_size(pixels.shape)}", compiled)
            yield way
            if way.fits and not self.fits:
                return

    def _maps(self) -> list[tuple[Tensor, Tensor]]:
        """Inputs with height and width, or with time: the input, and what has them, perhaps behind a RESHAPE."""
        inputs = {t.index: t for t in self.graph.inputs}
        pairs = [(t, t) for t in inputs.values() if len(t.shape) in (3, 4)]
        for node in self.graph.nodes:
            is_flat = node.op.name == "RESHAPE" and node.input(0).index in inputs and len(node.input(0).shape) <= 2
            if is_flat and len(node.output.shape) == 4:
                pairs.append((node.input(0), node.output))
        return pairs

    def channels(self) -> Iterator[WayOut]:
        """Fewer channels in the tensor that weighs most where it is too tight: as many as fit, else half of them."""
        layer, tensor = self._heaviest()
        if tensor is None:
            return
        group = channel_group(self.graph, tensor.index)
        full = tensor.shape[-1]
        if not group or full <= CHANNELS:
            return

        def cut(count: int) -> WayOut | None:
            compiled = self._resized({}, dict.fromkeys(group, count))
            change = f"{count} instead of {full} channels in layer {layer} ({tensor.describe()})"
            return self.way(Kind.CHANNELS, change, compiled) if compiled else None

        best = None
        low, high = 1, -(-full // CHANNELS) - 1  # in steps of CHANNELS: the least, and the most that is fewer
        while low <= high and not self.fits:
            middle = (low + high) // 2
            way = cut(middle * CHANNELS)
            if way is None:
                return
            if way.fits:
                best, low = way, middle + 1
            else:
                high = middle - 1
        best = best or cut(max(1, full // 2))
        if best and (best.fits or self._helps(best)):
            yield best

    def _helps(self, way: WayOut) -> bool:
        """Whether it takes less of what is blamed: of several layers that set the peak, one narrower one may not."""
        program = self.base.program
        if self._blames_constants():
            return way.weights_bytes < program.weights_bytes
        return way.arena_bytes < program.plan.arena_bytes

    def widths(self) -> Iterator[WayOut]:
        """Fewer channels in all tensors between inputs and outputs, down to the first that fits."""
        widths = {t.index: t.shape[-1] for node in self.graph.nodes for t in node.outputs if t.shape}
        cut: dict[int, int] = {}
        for index in widths:
            if index not in cut:
                cut |= dict.fromkeys(channel_group(self.graph, index), widths[index])
        tried = [cut]
        for quarters in QUARTERS:
            counts = {index: _narrower(full, quarters) for index, full in cut.items()}
            compiled = None if counts in tried else self._resized({}, counts)
            tried.append(counts)
            if compiled is None:
                continue
            way = self.way(Kind.CHANNELS, f"{quarters}/4 of the channels in every layer", compiled)
            yield way
            if way.fits and not self.fits:
                return

    def _heaviest(self) -> tuple[int, Tensor | None]:
        """Of the layers to blame the heaviest tensor whose channels can be cut, as the file has it, and its layer."""
        program = self.base.program
        blamed = constant_layers(program) if self._blames_constants() else peak_layers(program)
        known = {t.index: t for t in self.graph.tensors()}
        makers = {t.index: layer for layer, node in enumerate(program.graph.nodes) for t in node.outputs}
        for layer, _ in blamed:
            node = program.graph.nodes[layer]
            own = [t for t in (*node.outputs, *node.inputs) if t is not None and not t.is_constant]
            for tensor in sorted(own, key=lambda t: -t.size_bytes):
                if tensor.index in known and channel_group(self.graph, tensor.index):
                    return makers.get(tensor.index, layer), known[tensor.index]
        return 0, None

    def _blames_constants(self) -> bool:
        """Whether the model misses nothing but flash."""
        first = self.choice.attempts[0]
        return not first.fits and all(miss.resource is Resource.FLASH for miss in first.misses)

    def _resized(self, shapes: Mapping[int, Shape], channels: Mapping[int, int]) -> Compiled | None:
        """A variant of the model; None where it cannot be made."""
        try:
            return self._compiled(resized(self.graph, shapes, channels))
        except ValueError:
            return None

    def _compiled(self, graph: Graph) -> Compiled | None:
        """Another graph, planned as a build would: with the option that was taken or, where that does not fit, with the
        first harder one that does; None where tinygen cannot compile it."""
        model = replace(self.base.model, graph=graph)
        options = replace(self.base.options, kernels={})
        try:
            compiled = compile_model(model, self.board, options)
            tried = [options.optimize]
            for optimize in (optimize for resource in self.misses(compiled) for optimize in HARDER[resource]):
                if optimize not in tried:
                    tried.append(optimize)
                    harder = compile_model(model, self.board, replace(options, optimize=optimize))
                    if not self.misses(harder):
                        return harder
        except TinygenError:
            return None
        return compiled


def _scaled(shape: Shape, eighths: int) -> Shape:
    """A map of (batch, height, width, channels), or a series of (batch, time, channels), in another size."""
    if len(shape) == 3:
        return shape[0], max(1, shape[1] * eighths // 8), shape[2]
    batch, height, width, channels = shape
    picture = min(height, width) >= SMALLEST_PICTURE
    down = max(1, height * eighths // 8) if picture or height >= width else height
    across = max(1, width * eighths // 8) if picture or width > height else width
    return batch, down, across, channels


def _narrower(channels: int, quarters: int) -> int:
    """So many quarters of some channels, in steps of CHANNELS where there are more."""
    count = -(-channels * quarters // 4)
    return min(channels, -(-count // CHANNELS) * CHANNELS)


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape[1:]))
