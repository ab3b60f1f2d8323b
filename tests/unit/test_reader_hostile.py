"""Whatever the bytes, the reader answers quickly with a graph or with one ModelError that says where the fault is."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.models import ModelBuilder
from tests.support.samples import many_operators, shared_model, two_convolutions
from tests.support.tables import Record
from tinygen.errors import ModelError
from tinygen.tflite import read, repaired

ROOT = Path(__file__).parents[2]
SHARED = (
    "mlperf_ad",
    "mlperf_ic",
    "mlperf_kws",
    "mlperf_sww",
    "mlperf_vww",
    "tflm_hello_world",
    "tflm_micro_speech",
    "tflm_person_detect",
)
WORDS = [struct.pack("<I", word) for word in (0, 1, 2, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800000, 0x7FC00000)]


def survive(data: bytes) -> None:
    """Reads damaged bytes; anything but a graph or a ModelError, or more than a second, fails the test."""
    start = time.monotonic()
    for step in (read, repaired):
        try:
            step(data)
        except ModelError as error:
            assert str(error).startswith("model: ")
            assert "\x00" not in str(error)
    assert time.monotonic() - start < 2


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy with a few bits flipped, bytes replaced or words made extreme."""
    copy = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        position = rng.randrange(len(copy))
        kind = rng.random()
        if kind < 0.5:
            copy[position] ^= 1 << rng.randrange(8)
        elif kind < 0.75:
            copy[position] = rng.choice([0, 1, 2, 4, 127, 128, 255])
        else:
            position &= ~3
            copy[position : position + 4] = rng.choice(WORDS)
    return bytes(copy)


@pytest.mark.parametrize("sample", [two_convolutions, many_operators])
@pytest.mark.parametrize("seed", range(4))
def test_damaged_small_models_are_survived(sample: Callable[[], ModelBuilder], seed: int) -> None:
    rng = random.Random(seed)
    data = sample().finish()
    for _ in range(500):
        survive(damaged(data, rng))


@pytest.mark.parametrize("name", SHARED)
def test_damaged_real_models_are_survived(name: str) -> None:
    rng = random.Random(name)
    data = shared_model(f"{name}.tflite")
    for _ in range(40):
        survive(damaged(data, rng))


@pytest.mark.parametrize("sample", [two_convolutions, many_operators])
def test_every_truncation_is_a_model_error(sample: Callable[[], ModelBuilder]) -> None:
    data = sample().finish()
    for length in range(0, len(data) - 16, 3):
        with pytest.raises(ModelError):
            read(data[:length])


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_random_bytes_behind_the_magic_are_survived(tail: bytes) -> None:
    survive(struct.pack("<I", 8) + b"TFL3" + tail)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_spliced_models_are_survived(data: st.DataObject) -> None:
    one, other = two_convolutions().finish(), many_operators().finish()
    start = data.draw(st.integers(0, len(one) // 4)) * 4
    length = data.draw(st.integers(0, 16)) * 4
    source = data.draw(st.integers(0, len(other) // 4)) * 4
    survive(one[:start] + other[source : source + length] + one[start + length :])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "has 0 bytes"),
        (b"TFL3", "has 4 bytes"),
        (b"PK\x03\x04" + b"\0" * 60, "not a .tflite file"),
        (struct.pack("<I", 8) + b"TFL3", "truncated or damaged"),
        (struct.pack("<I", 0xFFFFFFF0) + b"TFL3" + b"\0" * 60, "truncated or damaged"),
        (struct.pack("<I", 8) + b"TFL3" + b"\0" * 60, "table of fields has 0 bytes"),
    ],
)
def test_what_is_no_model_is_said_to_be_none(data: bytes, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        read(data)


def tensor(index: int, **fields: object) -> Callable[[ModelBuilder], None]:
    return lambda builder: builder.tensors[index].fields.update(fields)


def quantization(index: int, **fields: object) -> Callable[[ModelBuilder], None]:
    return lambda builder: builder.tensors[index].fields["quantization"].fields.update(fields)


def operator(index: int, **fields: object) -> Callable[[ModelBuilder], None]:
    return lambda builder: builder.operators[index].fields.update(fields)


def boundary(**lists: list[int]) -> Callable[[ModelBuilder], None]:
    return lambda builder: [setattr(builder, name, value) for name, value in lists.items()] and None


def model(**fields: object) -> Callable[[ModelBuilder], None]:
    return lambda builder: builder.model.fields.update(fields)


FAULTS: list[tuple[str, Callable[[ModelBuilder], None], str]] = [
    (
        "cycle",
        operator(0, inputs=[5, 1, 2]),
        r"operator 0 .*reads tensor 5 'scores', which operator 1 .* produces only",
    ),
    ("own output", operator(0, inputs=[3, 1, 2]), r"reads tensor 3 'between', which operator 0 .* then or later"),
    ("nothing produces", operator(0, inputs=[6, 1, 2]), r"reads tensor 6 'lost', which nothing produces"),
    ("produced twice", operator(1, outputs=[3]), r"operator 1 .*writes tensor 3 .*already produced by operator 0"),
    ("writes an input", operator(1, outputs=[0]), r"writes tensor 0 'image', which is an input of the model"),
    ("writes a constant", operator(1, outputs=[1]), r"writes tensor 1 'first/filter', which is a constant"),
    ("operand too large", operator(0, inputs=[0, 99, 2]), r"operator 0 \(CONV_2D\): input 1 is tensor 99"),
    ("operand below -1", operator(0, inputs=[0, -2, 2]), r"operator 0 \(CONV_2D\): input 1 is tensor -2"),
    ("omitted output", operator(0, outputs=[-1]), r"operator 0 \(CONV_2D\): output 0 is tensor -1"),
    ("code out of range", operator(0, opcode_index=9), "operator 0: its code is entry 9"),
    ("buffer out of range", tensor(1, buffer=77), "tensor 1 .*stored in buffer 77, but the file has 4 buffers"),
    ("no type", tensor(3, type=99), "tensor 3 'between': element type 99 does not exist"),
    ("dynamic shape", tensor(0, shape=[-1, 6, 6, 3]), "tensor 0 'image': every dimension .*-1x6x6x3.*fixed batch size"),
    ("empty shape", tensor(0, shape=[1, 0, 6, 3]), "tensor 0 'image': every dimension must be at least 1"),
    ("huge shape", tensor(0, shape=[2**31 - 1] * 4), "tensor 0 'image': shape .* takes .* bytes; tinygen reads up to"),
    ("huge sum", tensor(0, shape=[1, 2**31 - 8]), "tensors computed at run time take more than"),
    ("rank", tensor(0, shape=[1] * 9), "tensor 0 'image': it has 9 dimensions"),
    ("short constant", tensor(1, shape=[4, 3, 3, 4]), "tensor 1 .*takes 144 bytes, but its buffer has 108"),
    ("not UTF-8", tensor(3, name=b"\xff\xfe"), r"tensor 3: its name is not UTF-8: found b'\\xff\\xfe'"),
    ("end of a comment", tensor(3, name="x*/ y"), r"tensor 3: its name holds '\*/'.*found 'x\*/ y'. Rename it"),
    ("scale zero", quantization(0, scale=[0.0]), "tensor 0 'image': a scale must be finite and above zero. Found 0.0"),
    ("scale negative", quantization(0, scale=[-1.0]), "a scale must be finite and above zero. Found -1.0"),
    ("scale nan", quantization(0, scale=[float("nan")]), "a scale must be finite and above zero. Found nan"),
    ("scale inf", quantization(0, scale=[float("inf")]), "a scale must be finite and above zero. Found inf"),
    ("zero point", quantization(0, zero_point=[128]), r"a zero point of int8 must lie in -128…127. Found 128"),
    ("zero points", quantization(1, zero_point=[0]), "tensor 1 .*has 4 scales and 1 zero points"),
    ("scale count", quantization(1, scale=[0.1] * 3), "tensor 1 .*has 3 scales for 4 indices along dimension 0"),
    ("axis", quantization(1, quantized_dimension=4), "quantized_dimension is 4 in a tensor of 4 dimensions"),
    ("negative axis", quantization(2, quantized_dimension=-1), "quantized_dimension is -1 in a tensor of 1 dimensions"),
    ("no operators", lambda b: b.operators.clear(), "no operators"),
    ("no inputs", boundary(inputs=[]), "the model has no inputs"),
    ("no outputs", boundary(outputs=[]), "the model has no outputs"),
    ("input out of range", boundary(inputs=[70]), "input 0: it is tensor 70"),
    ("input twice", boundary(inputs=[0, 0]), "input 1: tensor 0 'image' is already another input"),
    ("constant input", boundary(inputs=[0, 1]), "input 1: tensor 1 'first/filter' is a constant"),
    ("constant output", boundary(outputs=[1]), "output 0: it is tensor 1 'first/filter', a constant"),
    ("output of nothing", boundary(outputs=[6]), "output 0: it is tensor 6 'lost', a tensor that nothing produces"),
    ("output out of range", boundary(outputs=[-1]), "output 0: it is tensor -1"),
    ("version", model(version=4), "schema version must be 3. Found 4"),
    ("no subgraph", model(subgraphs=[]), "one subgraph. Found 0"),
    ("no codes", model(operator_codes=[]), "operator 0: its code is entry 0, but the file has 0 operator codes"),
]


@pytest.mark.parametrize(("edit", "sentence"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_every_fault_is_named_with_its_place(edit: Callable[[ModelBuilder], None], sentence: str) -> None:
    builder = two_convolutions()
    builder.tensor((1, 6, 6, 3), scale=1.0, name="lost")
    edit(builder)
    with pytest.raises(ModelError, match=f"^hostile: (.*){sentence}"):
        read(builder.finish(), name="hostile")


def test_names_in_errors_cannot_steer_a_terminal() -> None:
    builder = two_convolutions()
    builder.tensors[0].fields |= {"name": "\x1b[2Jwipe\n" + "x" * 10_000, "shape": [0]}
    with pytest.raises(ModelError) as caught:
        read(builder.finish())
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def one_huge_tensor(shape: list[int]) -> bytes:
    """An input whose shape alone would fill memory."""
    builder = two_convolutions()
    builder.tensors[0].fields["shape"] = shape
    return builder.finish()


def many(edit: Callable[[ModelBuilder], None]) -> bytes:
    """A list that is far longer than any model's."""
    builder = two_convolutions()
    edit(builder)
    return builder.finish()


def more_operators(builder: ModelBuilder) -> None:
    builder.operators *= 40_000


def more_tensors(builder: ModelBuilder) -> None:
    builder.tensors += builder.tensors[:1] * 40_000


def shared_vectors() -> bytes:
    """16,000 operators that are one table, whose operands are one vector of 60,000."""
    builder = two_convolutions()
    builder.operators[0].fields["inputs"] = [0] * 60_000
    builder.operators = builder.operators[:1] + [Record("Operator")] * 15_999
    data = bytearray(builder.finish())
    # The vector of operators holds 16,000 offsets; let each lead to the first table.
    at = data.index(struct.pack("<I", 16_000)) + 4
    target = at + struct.unpack_from("<I", data, at)[0]
    for i in range(16_000):
        struct.pack_into("<I", data, at + 4 * i, target - (at + 4 * i))
    return bytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "one huge tensor": lambda: one_huge_tensor([2**31 - 1]),
    "product": lambda: one_huge_tensor([2**16] * 8),
    "largest": lambda: one_huge_tensor([1, 1, 1, 2**31 - 1]),
    "many operators": lambda: many(more_operators),
    "many tensors": lambda: many(more_tensors),
    "many operands": lambda: many(operator(0, inputs=[0] * 1_000_000)),
    "many inputs": lambda: many(boundary(inputs=list(range(1_000_000)))),
    "shared vectors": shared_vectors,
}
"""Small files that ask for much."""

CHILD = """
import resource, sys, time
from pathlib import Path
from tinygen.errors import ModelError
from tinygen.tflite import read, repaired
start = time.process_time()
for step in (read, repaired):
    try:
        step(Path(sys.argv[1]).read_bytes())
    except ModelError as error:
        print(str(error)[:300])
print(time.process_time() - start)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_cannot_ask_for_much_time_or_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(BOMBS[name]())
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *messages, seconds, mebibytes = run.stdout.splitlines()
    assert messages, "it must be refused"
    assert float(seconds) < 1, run.stdout
    assert int(mebibytes) < 500, run.stdout
