"""Kernels: the grammar of their names, their templates, and the choice of one for each node."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tests.support.samples import many_operators
from tinygen.emit.environment import environment, support_functions
from tinygen.ir import Graph, Kernel, Node, Op
from tinygen.kernels import KernelName, select
from tinygen.ops import MADE_BY_PASSES, OPS
from tinygen.ops.add import Add
from tinygen.ops.copy import COPY
from tinygen.ops.input_rows import InputRows
from tinygen.resources import resource_path
from tinygen.targets import FEATURES, TARGETS
from tinygen.tflite import read_model

KERNELS = {kernel.name: kernel for op in (*OPS, *MADE_BY_PASSES, InputRows) for kernel in op.kernels}
TEMPLATES = resource_path("templates")
every_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS.keys())
every_op = pytest.mark.parametrize("op", (*OPS, *MADE_BY_PASSES), ids=lambda op: op.name)


# --- names --------------------------------------------------------------------------------------------------------


@every_kernel
def test_every_kernels_name_follows_the_grammar(kernel: Kernel) -> None:
    name = KernelName.parse(kernel.name)
    assert "_".join([name.op, name.dtype]) + "__" + "_".join(filter(None, [name.isa, name.tile])) == kernel.name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("add_s8__c", ("add", "s8", "c", None)),
        ("conv2d_s8__dsp_4p2c", ("conv2d", "s8", "dsp", "4p2c")),
        ("depthwise_conv2d_s8__c", ("depthwise_conv2d", "s8", "c", None)),
        ("quantize_f32_s8__c", ("quantize", "f32_s8", "c", None)),
        ("fully_connected_s8__mve_8c", ("fully_connected", "s8", "mve", "8c")),
    ],
)
def test_a_name_has_its_parts(text: str, parts: tuple[str, str, str, str | None]) -> None:
    assert KernelName.parse(text) == KernelName(*parts)


@pytest.mark.parametrize(
    "text",
    [
        "", "add", "add_s8", "add__c", "add_s8_c", "add_s8__", "__c", "_s8__c", "s8__c", "Add_s8__c", "add_S8__c",
        "add_s8__C", "add_s8__c_", "add_s8__c_4x4_2", "add_s8__c__4", "add_i8__c", "add_s__c", "2d_s8__c", "add-s8__c",
        "add_s8__4", " add_s8__c", "add_s8__c\n", "add_s8__c.c",
    ],
)  # fmt: skip
def test_what_is_no_kernel_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a kernel name of the form"):
        KernelName.parse(text)


# --- templates ----------------------------------------------------------------------------------------------------


def test_every_kernel_has_a_template_and_every_template_a_kernel() -> None:
    assert {path.name for path in (TEMPLATES / "kernels").iterdir()} == {f"{name}.c.j2" for name in KERNELS}


def test_every_helper_is_called_by_a_kernel_or_by_such_a_helper() -> None:
    texts = {name: environment().get_template(f"support/{name}.c.j2").render() for name in support_functions()}
    bodies = {name: text[text.index("\n{") :] for name, text in texts.items()}
    code = "\n".join(path.read_text() for room in ("kernels", "tiles") for path in (TEMPLATES / room).iterdir())
    used = {n for n in bodies if any(n.startswith(stem) for stem in re.findall(r"\b(\w+_)\{\{ \w+ \}\}\(", code))}
    assert used, "requantize_{{ rounding }}(...) chooses a helper by a switch"
    code += "".join(bodies[name] for name in used)
    while new := {name for name in bodies.keys() - used if re.search(rf"\b{name}\(", code)}:
        used |= new
        code += "".join(bodies[name] for name in new)
    assert used == bodies.keys()


@pytest.mark.parametrize("name", support_functions())
def test_a_helper_file_defines_one_function_the_one_of_its_name(name: str) -> None:
    text = environment().get_template(f"support/{name}.c.j2").render()
    assert re.findall(r"^static .*?(\w+)\(", text, flags=re.MULTILINE) == [name]


# --- choice -------------------------------------------------------------------------------------------------------


@every_op
def test_the_last_kernel_is_portable_and_takes_every_node(op: type[Op]) -> None:
    """Or what another portable kernel leaves over: they divide the element types among them."""
    last = op.kernels[-1]
    assert KernelName.parse(last.name).isa == "c"
    assert not last.features
    if last.constraints:
        assert any(kernel.constraints and not kernel.features for kernel in op.kernels[:-1])


@every_op
def test_kernels_ask_for_features_that_some_target_has(op: type[Op]) -> None:
    for kernel in op.kernels:
        assert kernel.features <= FEATURES.keys()
        assert any(kernel.features <= target.features for target in TARGETS), f"{kernel.name} can never be chosen"
        assert kernel.features or KernelName.parse(kernel.name).isa == "c"


def sum_of(channels: int) -> Graph:
    b = ModelBuilder()
    x, y = b.input((1, 2, 2, channels), scale=0.5), b.tensor((1, 2, 2, channels), scale=0.5)
    b.node("ADD", [x, x], [y])
    b.output(y)
    return read_model(b.finish())


def whole_words(node: Node) -> str | None:
    """The channels must be a multiple of 4."""
    return None if node.output.shape[-1] % 4 == 0 else str(node.output.shape[-1])


@pytest.mark.parametrize(
    ("features", "channels", "chosen"),
    [
        ("", 4, "add_s8__c"),
        ("mul div unaligned", 4, "add_s8__c"),
        ("dsp", 4, "add_s8__dsp_4c"),
        ("dsp", 3, "add_s8__dsp"),
        ("dsp mve", 4, "add_s8__mve"),
        ("dsp mve", 3, "add_s8__mve"),
        ("mve", 3, "add_s8__c"),
    ],
)
def test_the_first_kernel_that_features_and_constraints_allow_is_chosen(
    features: str, channels: int, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    portable = Add.kernels[-1]
    rows = (
        ("add_s8__mve", "dsp mve", ()),
        ("add_s8__dsp_4c", "dsp", (whole_words,)),
        ("add_s8__dsp", "dsp", ()),
    )
    better = (
        dataclasses.replace(portable, name=name, features=frozenset(needs.split()), constraints=rules)
        for name, needs, rules in rows
    )
    monkeypatch.setattr(Add, "kernels", (*better, portable))
    schedule = select(sum_of(channels), frozenset(features.split()))
    assert [kernel and kernel.name for kernel in schedule.kernels.values()] == [chosen]


def test_a_node_that_no_kernel_takes_is_a_defect_of_tinygen(monkeypatch: pytest.MonkeyPatch) -> None:
    portable = Add.kernels[-1]
    monkeypatch.setattr(Add, "kernels", (dataclasses.replace(portable, features=frozenset({"dsp"})),))
    with pytest.raises(AssertionError, match=r"operator 0 \(ADD\): its last kernel must be portable"):
        select(sum_of(1), frozenset())


def test_a_view_needs_no_kernel_unless_its_source_is_a_constant() -> None:
    b = ModelBuilder()
    x = b.input((1, 4), scale=0.5)
    y, z = b.tensor((2, 2), scale=0.5), b.tensor((2, 2), scale=0.5)
    b.node("RESHAPE", [x], [y], new_shape=[2, 2])
    b.node("RESHAPE", [b.constant(np.zeros((1, 4), np.int8), scales=0.5)], [z], new_shape=[2, 2])
    b.output(y, z)
    assert dict(select(read_model(b.finish()), frozenset()).kernels) == {0: None, 1: COPY}


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_every_target_gets_a_kernel_for_every_layer_of_a_chain(target) -> None:  # type: ignore[no-untyped-def]
    graph = read_model(many_operators().finish())
    schedule = select(graph, target.features)
    assert schedule.kernels.keys() == set(range(len(graph.nodes)))
    for kernel in schedule.kernels.values():
        assert kernel is None or kernel.features <= target.features
