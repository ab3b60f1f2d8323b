"""The choice of one row a layer by a price: what a byte of flash is worth in instructions.

A row costs its layer instructions and constants, and the model the code of its function, which is paid once however
many layers share it. That makes the choice a facility location problem, which has no fast exact solution; the search
here starts from two simple choices and moves layers between functions as long as the sum falls. It is deterministic,
and takes well under a second for hundreds of layers with five rows each.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygen.kernels.rows import Row

Choice = tuple[Row, ...]

NEXT_TO_NOTHING, NEARLY_ANYTHING = 1e-6, 1e9
"""Instructions a byte: bytes decide only between equally fast rows; instructions only between equally small ones."""

LEAST = 0.25
"""Instructions a byte of flash must save where there is a budget. A second byte for a weight of a dense layer saves a
fifth of one; flash is worth more than that even while it lasts."""

PRICES = tuple(2.0 ** (step / 4) for step in range(-40, 81))
"""From a thousandth of an instruction a byte to a million, in steps of 19 %."""


def flash_bytes(choice: Sequence[Row]) -> int:
    """Constants of all layers, and the code of each function once."""
    return sum(row.cost.constant_bytes for row in choice) + sum(
        {row.function: row.cost.code_bytes for row in choice}.values()
    )


def instructions(choice: Sequence[Row]) -> int:
    """Of one inference."""
    return sum(row.cost.instructions for row in choice)


def fastest_within(layers: Sequence[Sequence[Row]], most_bytes: float) -> Choice:
    """The fewest instructions found whose flash is at most `most_bytes`; where there are none, the least flash.

    No more of it is spent than pays; see LEAST. The lowest of the PRICES at which it fits decides most layers. What is
    then left of the budget goes to the layers that gain the most instructions for each byte.
    """
    choice = cheapest(layers, LEAST)
    if flash_bytes(choice) <= most_bytes:
        return choice
    choice = cheapest(layers, NEARLY_ANYTHING)
    if flash_bytes(choice) > most_bytes:
        return choice
    low, high = PRICES.index(LEAST), len(PRICES)  # does not fit at low, fits at high
    while high - low > 1:
        middle = (low + high) // 2
        found = cheapest(layers, PRICES[middle])
        if flash_bytes(found) <= most_bytes:
            high, choice = middle, found
        else:
            low = middle
    return _spend(layers, choice, most_bytes)


def cheapest(layers: Sequence[Sequence[Row]], price: float) -> Choice:
    """A choice whose instructions + price × flash no single move lowers; see the module's docstring."""
    shared = [min(rows, key=lambda row: _layer_cost(row, price)) for rows in layers]
    alone = [min(rows, key=lambda row: _layer_cost(row, price) + price * row.cost.code_bytes) for rows in layers]
    found = [_Search(layers, price, start).run() for start in (shared, alone)]
    return min(found, key=lambda choice: instructions(choice) + price * flash_bytes(choice))


def _layer_cost(row: Row, price: float) -> float:
    return row.cost.instructions + price * row.cost.constant_bytes


class _Search:
    """The local search: layers move to a function, or away from one, when that lowers the sum."""

    def __init__(self, layers: Sequence[Sequence[Row]], price: float, start: Sequence[Row]) -> None:
        self.layers, self.price, self.choice = layers, price, list(start)
        self.offers: dict[str, dict[int, Row]] = {}  # function → layer → its row
        self.code: dict[str, float] = {}
        for layer, rows in enumerate(layers):
            for row in rows:
                self.offers.setdefault(row.function, {})[layer] = row
                self.code[row.function] = price * row.cost.code_bytes
        self.users: dict[str, set[int]] = {function: set() for function in self.offers}
        for layer, row in enumerate(start):
            self.users[row.function].add(layer)

    def run(self) -> Choice:
        """Moves until none helps. Each lowers the sum, so it ends."""
        while any([self._gather(function) or self._leave(function) for function in self.offers]):
            pass
        return tuple(self.choice)

    def _gather(self, function: str) -> bool:
        """Move to `function` what gains by it: layers alone, or all users of another function, whose code then goes."""
        moves: dict[int, Row] = {}
        gain = 0.0 if self.users[function] else -self.code[function]
        offers = self.offers[function]
        for other in dict.fromkeys(self.choice[layer].function for layer in offers):
            if other == function:
                continue
            gains = {layer: self._gain(layer, row) for layer, row in offers.items() if layer in self.users[other]}
            some = sum(value for value in gains.values() if value > 0)
            everyone = sum(gains.values()) + self.code[other] if len(gains) == len(self.users[other]) else some - 1
            moves |= {layer: offers[layer] for layer, value in gains.items() if everyone >= some or value > 0}
            gain += max(some, everyone)
        return self._move(moves, gain)

    def _leave(self, function: str) -> bool:
        """Move all users of `function` to the best that other functions in use offer, so that its code goes."""
        moves: dict[int, Row] = {}
        for layer in sorted(self.users[function]):
            rows = [row for row in self.layers[layer] if row.function != function and self.users[row.function]]
            if not rows:
                return False
            moves[layer] = min(rows, key=lambda row: _layer_cost(row, self.price))
        return self._move(moves, self.code[function] + sum(self._gain(layer, row) for layer, row in moves.items()))

    def _gain(self, layer: int, row: Row) -> float:
        return _layer_cost(self.choice[layer], self.price) - _layer_cost(row, self.price)

    def _move(self, moves: dict[int, Row], gain: float) -> bool:
        """Whether the moves were worth it and were made; what rounding of floats makes of nothing is not."""
        if not moves or gain <= 1e-9 * sum(_layer_cost(self.choice[layer], self.price) for layer in moves):
            return False
        for layer, row in moves.items():
            self.users[self.choice[layer].function].discard(layer)
            self.users[row.function].add(layer)
            self.choice[layer] = row
        return True


def _spend(layers: Sequence[Sequence[Row]], choice: Choice, most_bytes: float) -> Choice:
    """Make single layers faster while the budget lasts, those first that gain the most for each byte."""
    now = list(choice)
    while True:
        users: dict[str, int] = {}
        for row in now:
            users[row.function] = users.get(row.function, 0) + 1
        left = most_bytes - flash_bytes(now)
        best, best_gain = None, 0.0
        for layer, rows in enumerate(layers):
            was = now[layer]
            freed = was.cost.constant_bytes + (was.cost.code_bytes if users[was.function] == 1 else 0)
            for row in rows:
                saved = was.cost.instructions - row.cost.instructions
                needs = row.cost.constant_bytes + (0 if row.function in users else row.cost.code_bytes) - freed
                if saved > 0 and needs <= left and saved / max(1, needs) > max(best_gain, LEAST):
                    best, best_gain = (layer, row), saved / max(1, needs)
        if best is None:
            return tuple(now)
        now[best[0]] = best[1]
