"""The reader turns sound files into graphs and names everything that tinygen cannot compute."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import get_origin

import numpy as np
import pytest
import tflite

from tests.support.models import ModelBuilder, options_table
from tests.support.samples import shared_model, two_convolutions
from tests.support.tables import Record, slots
from tinygen.errors import ModelError, UsageError
from tinygen.ir import Activation, DType, Op, Padding
from tinygen.ops import OPS
from tinygen.ops.conv2d import Conv2D
from tinygen.tflite import computed_tensors, read, read_model, repaired, schema
from tinygen.tflite.bounded import Wire
from tinygen.tflite.options import option_fields


def test_a_sound_model_becomes_the_graph_that_was_built() -> None:
    data = two_convolutions().finish()
    model = read(data, name="tiny")
    first, second = model.graph.nodes
    assert model.graph.name == "tiny"
    assert model.notes == ()
    assert model.data is data
    assert model.sha256 == hashlib.sha256(data).hexdigest()
    assert [t.index for t in model.graph.inputs] == [0]
    assert [t.index for t in model.graph.outputs] == [5]
    assert first.op == Conv2D(Padding.VALID, 1, 1, Activation.RELU)
    assert second.op == Conv2D(Padding.SAME, 2, 2)
    assert [t and t.index for t in second.inputs] == [3, 4, None]
    assert first.output is second.input(0), "a tensor must be one object wherever it is used"
    assert first.output.describe() == "int8 1x4x4x4"
    assert first.output.name == "between"
    assert (first.output.scale, first.output.zero_point) == (float(np.float32(0.1)), 5)


def test_constants_keep_their_values_and_cannot_be_written() -> None:
    values = np.arange(-6, 6, dtype=np.int8).reshape(2, 1, 1, 6)
    builder = ModelBuilder()
    x = builder.input((1, 1, 1, 6), scale=0.5)
    w = builder.constant(values, scales=[0.5, 0.25], zero_points=0, axis=0)
    y = builder.tensor((1, 1, 1, 2), scale=1.0)
    builder.node("CONV_2D", [x, w], [y], stride_w=1, stride_h=1)
    builder.output(y)
    weights = read_model(builder.finish()).nodes[0].input(1)
    assert weights.data is not None
    np.testing.assert_array_equal(weights.data, values)
    assert not weights.data.flags.writeable
    assert weights.quant is not None
    assert weights.quant.scales == (0.5, 0.25)
    assert weights.quant.axis == 0


def test_a_path_gives_the_stem_as_name(tmp_path: Path) -> None:
    path = tmp_path / "key word.v2.tflite"
    path.write_bytes(two_convolutions().finish())
    assert read_model(path).name == "key word.v2"
    assert read_model(str(path), name="kws").name == "kws"


def test_names_are_data_even_when_they_look_like_code() -> None:
    builder = two_convolutions()
    builder.tensors[3].fields["name"] = 'evil // \n#error "'
    assert read_model(builder.finish()).nodes[0].output.name == 'evil // \n#error "'


def test_unused_tensors_may_be_anything() -> None:
    builder = two_convolutions()
    builder.tensor((-1, 0), "string")
    assert len(read_model(builder.finish()).nodes) == 2


def test_absent_options_mean_the_defaults_of_the_schema() -> None:
    builder = two_convolutions()
    del builder.operators[0].fields["builtin_options"]
    with pytest.raises(ModelError):  # the schema's default stride is 0
        read(builder.finish())
    assert Conv2D().dilation_h_factor == 1


def test_codes_above_127_and_old_files_without_the_wide_field_are_both_read() -> None:
    builder = two_convolutions()
    del builder.codes[0].fields["builtin_code"]
    assert read_model(builder.finish()).nodes[0].op.name == "CONV_2D"
    builder.codes[0].fields |= {"deprecated_builtin_code": 127, "builtin_code": tflite.BuiltinOperator.GELU}
    with pytest.raises(ModelError, match=r"operator 0 \(GELU\)"):
        read(builder.finish())


def test_constants_may_lie_behind_the_flatbuffer() -> None:
    builder = two_convolutions()
    payload = builder.buffers[1].fields.pop("data")
    builder.buffers[1].fields |= {"offset": 1 << 20, "size": len(payload)}
    data = builder.finish()
    data = data.ljust(1 << 20, b"\0") + payload
    weights = read_model(data).nodes[0].input(1).data
    assert weights is not None
    assert weights.tobytes() == payload
    with pytest.raises(ModelError, match="buffer 1"):
        read(data[:-1])


def test_newer_operator_versions_are_read_with_a_note() -> None:
    builder = two_convolutions()
    builder.codes[0].fields["version"] = 99
    (first, _) = read(builder.finish()).notes
    assert first.startswith("operator 0 (CONV_2D): version 99 is newer than")


def test_a_bias_with_the_axis_of_its_filter_is_read_with_a_note_and_repaired() -> None:
    builder = two_convolutions()
    builder.tensors[2].fields["quantization"].fields["quantized_dimension"] = 3
    data = builder.finish()
    model = read(data)
    assert len(model.notes) == 1
    assert "tensor 2 'first/bias'" in model.notes[0]
    bias = model.graph.nodes[0].input(2)
    assert bias.quant is not None
    assert bias.quant.axis == 0
    assert read(repaired(data)).notes == ()
    assert len(repaired(data)) == len(data)
    assert sum(a != b for a, b in zip(repaired(data), data, strict=True)) == 1
    assert repaired(repaired(data)) == repaired(data)


def test_a_sound_model_needs_no_repair() -> None:
    data = two_convolutions().finish()
    assert repaired(data) == data


def test_computed_tensors_are_inputs_and_outputs_of_operators() -> None:
    assert computed_tensors(two_convolutions().finish()) == (0, 3, 5)


def test_person_detect_repairs_its_fourteen_biases() -> None:
    data = shared_model("tflm_person_detect.tflite")
    assert sum(a != b for a, b in zip(repaired(data), data, strict=True)) == 14


def test_unsupported_operators_are_reported_all_at_once() -> None:
    builder = two_convolutions()
    y = builder.tensor((1, 2, 2, 2), "float16")
    builder.node("CUMSUM", [5], [y])
    z = builder.tensor((1, 2, 2, 2), "int8", 1.0)
    builder.node("CUSTOM", [y], [z], custom_code="Zap")
    with pytest.raises(ModelError) as caught:
        read(builder.finish(), name="odd")
    message = str(caught.value)
    assert message.startswith("odd: tinygen cannot compute this model:\n")
    assert "operator 2 (CUMSUM), int8 to float16, is not supported." in message
    assert "operator 3 (CUSTOM 'Zap'), float16 to int8, is not supported." in message
    assert "tinygen ops" in message


def test_unsupported_operators_and_broken_constraints_stand_in_one_error() -> None:
    builder = two_convolutions()
    builder.operators[0].fields["builtin_options"].fields["fused_activation_function"] = "TANH"
    builder.node("CUMSUM", [5], [builder.tensor((1, 2, 2, 2), "int8", 1.0)])
    with pytest.raises(ModelError) as caught:
        read(builder.finish())
    message = str(caught.value)
    assert "operator 0 (CONV_2D): The fused activation must be" in message
    assert "Found TANH." in message
    assert "operator 2 (CUMSUM)" in message


def edit_shape(builder: ModelBuilder) -> None:
    builder.tensors[3].fields["shape"] = [1, 4, 3, 4]


def drop_weights(builder: ModelBuilder) -> None:
    builder.operators[0].fields["inputs"] = [0]


def omit_weights(builder: ModelBuilder) -> None:
    builder.operators[0].fields["inputs"] = [0, -1, 2]


def add_output(builder: ModelBuilder) -> None:
    builder.operators[0].fields["outputs"] = [3, builder.tensor((1,))]


def make_variable(builder: ModelBuilder) -> None:
    builder.tensors[3].fields["is_variable"] = True


def make_sparse(builder: ModelBuilder) -> None:
    builder.tensors[1].fields["sparsity"] = Record("SparsityParameters")


def make_string(builder: ModelBuilder) -> None:
    builder.tensors[0].fields["type"] = "STRING"


def make_resource(builder: ModelBuilder) -> None:
    builder.tensors[0].fields["type"] = "RESOURCE"


def second_subgraph(builder: ModelBuilder) -> None:
    builder.subgraphs.append(Record("SubGraph", {"name": "init"}))


def set_unknown_attribute(builder: ModelBuilder) -> None:
    # A table of more fields than Conv2DOptions's seven stands for what a future schema may add.
    longer = Record("StablehloConvolutionOptions", {"batch_group_count": 5})
    builder.operators[0].fields["builtin_options"] = longer


def unknown_padding(builder: ModelBuilder) -> None:
    builder.operators[0].fields["builtin_options"].fields["padding"] = 7


def foreign_options(builder: ModelBuilder) -> None:
    builder.operators[0].fields["builtin_options_type"] = tflite.BuiltinOptions.SoftmaxOptions


def second_kind_of_options(builder: ModelBuilder) -> None:
    builder.operators[0].fields["builtin_options2_type"] = 1


def intermediates(builder: ModelBuilder) -> None:
    builder.operators[0].fields["intermediates"] = [3]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (edit_shape, r"operator 0 \(CONV_2D\): Output 0 must have shape 1x4x4x4. Found 1x4x3x4"),
        (drop_weights, r"operator 0 \(CONV_2D\): It must have 2 to 3 inputs. Found 1."),
        (omit_weights, r"operator 0 \(CONV_2D\): Its input 1 must not be omitted."),
        (add_output, r"operator 0 \(CONV_2D\): It must have 1 output. Found 2."),
        (make_variable, "tensor 3 'between' is a variable"),
        (make_sparse, "tensor 1 'first/filter' is sparse"),
        (make_string, "tensor 0 'image' is string, which tinygen cannot compute"),
        (make_resource, "tensor 0 'image' is resource, which tinygen cannot compute"),
        (second_subgraph, "must have one subgraph. Found 2"),
        (set_unknown_attribute, r"operator 0 \(CONV_2D\): attribute 15 of its Conv2DOptions is set, but unknown"),
        (
            unknown_padding,
            r"operator 0 \(CONV_2D\): padding has the unknown value 7; known are 0 \(SAME\), 1 \(VALID\)",
        ),
        (foreign_options, r"operator 0 \(CONV_2D\): its attributes must be Conv2DOptions. Found SoftmaxOptions"),
        (second_kind_of_options, r"operator 0 \(CONV_2D\): it carries attributes of the second kind"),
        (intermediates, r"operator 0 \(CONV_2D\): It must not have intermediate tensors"),
    ],
)
def test_what_tinygen_cannot_compute_is_named(edit: Callable[[ModelBuilder], None], sentence: str) -> None:
    builder = two_convolutions()
    edit(builder)
    with pytest.raises(ModelError, match=sentence):
        read(builder.finish())


@pytest.mark.parametrize("path", ["missing.tflite", ".", "nul\0byte", "x" * 5000])
def test_an_unreadable_path_is_a_usage_error(path: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Give the path|cannot be read"):
        read(tmp_path / path)


def test_a_file_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygen.tflite.root.MAX_FILE_BYTES", 1 << 10)
    with pytest.raises(ModelError, match="larger than"):
        read(two_convolutions().finish())


WIRE_KINDS = {
    Wire.BOOL: "Bool",
    Wire.BYTE: "Int8",
    Wire.INT32: "Int32",
    Wire.FLOAT32: "Float32",
    None: "UOffsetTRelative",
}


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_the_fields_of_every_operator_are_the_schemas(op: type[Op]) -> None:
    assert hasattr(tflite.BuiltinOperator, op.name)
    assert op.options == options_table(op.name)
    expected = slots(op.options) if op.options else ()
    found = option_fields(op)
    assert [field.name for field in found] == [slot.name for slot in expected]
    assert [WIRE_KINDS[field.wire] for field in found] == [slot.kind for slot in expected]
    for field, slot in zip(found, expected, strict=True):
        if field.wire is None:
            assert field.default in ((), ""), f"{field.name} has no default in the schema"
            assert field.type is str or get_origin(field.type) is tuple
        elif field.type is DType:
            assert field.default is schema.DTYPES[slot.default]
        else:
            default = field.default.value if isinstance(field.default, Enum) else field.default
            assert default == slot.default, field.name


@pytest.mark.parametrize(
    "table", ["Model", "OperatorCode", "SubGraph", "Tensor", "QuantizationParameters", "Buffer", "Operator"]
)
def test_slot_numbers_are_the_schemas(table: str) -> None:
    known = {slot.name.upper(): slot.index for slot in slots(table)}
    ours = {slot.name: slot.value for slot in getattr(schema, f"{table}Slot")}
    assert ours.items() <= known.items()
