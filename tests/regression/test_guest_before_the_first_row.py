"""A guest's row that lies before the first row of its host takes all bytes of that slot, not its first ones alone.

Else another tensor may lie in the others when the guest is written: mlperf_vww with pushed rows, optimised for RAM.
"""

from __future__ import annotations

import numpy as np

from tinygen.ir import DType, Tensor
from tinygen.plan.lives import Grains, Value

ROWS, PIXELS, PIXEL_BYTES = 4, 3, 2


def value(index: int, births: list[int], deaths: list[int]) -> Value:
    tensor = Tensor(index, "", (1, ROWS, PIXELS, PIXEL_BYTES), DType.INT8)
    grains = Grains(tensor.size_bytes, PIXEL_BYTES)
    grains.birth[:] = np.repeat(births, PIXELS)
    grains.death[:] = np.repeat(deaths, PIXELS)
    return Value([tensor], grains, grains, ROWS)


def test_a_guests_row_before_the_first_one_claims_its_whole_slot() -> None:
    host = value(0, [1, 2, 10, 20], [9, 19, 29, 29])
    host.lodge(value(1, [5, 12, 22, 24], [6, 13, 23, 25]), pace=1, turn=-1)
    host.find_ring()
    assert host.ring_rows == 3
    births = np.repeat(host.life().birth, np.diff([0, *host.life().ends.tolist()]))
    slot = births.reshape(3, -1)[2]  # of row 2, born at 10, and of the guest's row 0 before that
    assert slot.tolist() == [5] * (PIXELS * PIXEL_BYTES)
