"""Program → the three C files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.emit.environment import environment, support_text
from tinygen.ledger import ledger
from tinygen.placement import NOWHERE, Placement
from tinygen.program import KernelInstance, Layer, Program
from tinygen.version import VERSION


@dataclass(frozen=True, slots=True)
class Sources:
    """Generated text by file name: NAME.h, NAME.c and NAME_weights.c."""

    name: str
    files: Mapping[str, str]


def emit(program: Program, *, model_sha256: str, target: str, placement: Placement = NOWHERE) -> Sources:
    """Print a program. The same program in the same place gives the same bytes."""
    kernels = [_kernel_text(instance) for instance in program.instances]
    values = {
        "program": program,
        "name": program.name,
        "macro": program.name.upper(),
        "version": VERSION,
        "model_sha256": model_sha256,
        "target": target,
        "kernels": kernels,
        "ledger": ledger(program),
        "placement": placement,
        "reaches": [(layer.index, _reach(program, layer)) for layer in program.layers],
        "support": support_text("\n".join(kernels)),
    }

    def render(template: str) -> str:
        text = environment().get_template(f"model/{template}").render(values)
        return re.sub(r"\n{3,}", "\n\n", text)  # optional parts each bring their own blank line

    return Sources(
        program.name,
        {
            f"{program.name}.h": render("model.h.j2"),
            f"{program.name}.c": render("model.c.j2"),
            f"{program.name}_weights.c": render("weights.c.j2"),
        },
    )


def _reach(program: Program, layer: Layer) -> int:
    """The first byte of the arena behind all that a layer reads, writes and works in."""
    views = [*layer.sinks, *(source.view for source in layer.sources if source.constant is None)]
    ends = [view.offset_bytes + view.size_bytes for view in views]
    if layer.scratch_offset is not None and layer.instance is not None:
        ends.append(layer.scratch_offset + layer.instance.kernel.scratch_bytes(program.graph.nodes[layer.index]))
    return max(ends, default=0)


def _kernel_text(instance: KernelInstance) -> str:
    struct = environment().get_template("model/params.h.j2").render(instance=instance)
    template = environment().get_template(f"kernels/{instance.kernel.name}.c.j2")
    return struct + template.render(function=instance.function, **instance.switches)
