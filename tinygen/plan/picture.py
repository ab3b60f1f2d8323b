"""The arena over time as a picture in text: a row a slice of addresses, a column a step."""

from __future__ import annotations

from tinygen.plan.values import Plan

HEIGHT = 16
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SCRATCH = "#"
FREE = "."


def memory_picture(plan: Plan, names: dict[int, str]) -> str:
    """Letters are buffers, `#` scratch, `.` free; `names` gives a label for each tensor's index.

    Each row covers arena_bytes ÷ rows bytes and shows what holds the slice's first byte at that step.
    """
    if plan.arena_bytes == 0:
        return "The arena is empty."
    first = min((buffer.birth for buffer in plan.buffers), default=0)
    last = max((min(buffer.death, len(plan.steps)) for buffer in plan.buffers), default=0)
    steps = range(first, last + 1)
    slice_bytes = -(-plan.arena_bytes // HEIGHT)
    width = len(f"{plan.arena_bytes:,}")
    letter = {}
    for number, buffer in enumerate(plan.buffers):
        letter[number] = SCRATCH if buffer.scratch_of is not None else LETTERS[number % len(LETTERS)]

    def cell(address: int, step: int) -> str:
        for number, (buffer, offset) in enumerate(zip(plan.buffers, plan.offsets, strict=True)):
            if buffer.birth <= step <= buffer.death and offset <= address < offset + buffer.size_bytes:
                return letter[number]
        return FREE

    cells = 1 if len(steps) > 40 else 2
    lines = [
        f"{address:>{width},} │" + "".join(cell(address, step) * cells for step in steps) + "│"
        for address in range(0, plan.arena_bytes, slice_bytes)
    ]
    live = [plan.live_bytes(step) for step in steps]
    peak = live.index(max(live))
    lines.append(" " * (width + 2) + " " * (peak * cells) + "^" * cells)
    lines.append(
        f"{'':>{width}} peak: step {steps[peak]}, {max(live):,} bytes live; arena {plan.arena_bytes:,}, "
        f"lower bound {plan.lower_bound_bytes:,}"
    )
    legend = []
    for number, (buffer, offset) in enumerate(zip(plan.buffers, plan.offsets, strict=True)):
        what = (
            f"scratch of layer {buffer.scratch_of}"
            if buffer.scratch_of is not None
            else ", ".join(names.get(tensor, str(tensor)) for tensor in buffer.tensors)
        )
        legend.append(
            f"  {letter[number]}  {offset:>{width},} .. {offset + buffer.size_bytes:>{width},}  "
            f"steps {buffer.birth:>3} to {min(buffer.death, len(plan.steps)):>3}  {what}"
        )
    return "\n".join([*lines, *legend])
