"""The self-test's checksums of constants: whatever bit of them changes, it fails and names layer and array."""

from __future__ import annotations

import random
import re
import zlib
from pathlib import Path

import pytest

from tests.emulation.test_selftest import CRCS, chosen, flip, run
from tests.export.projects import KWS
from tests.golden.models import classifier
from tests.support.flip import weights_in
from tests.support.models import ModelBuilder
from tinygen.boards import load_board
from tinygen.compile import Compiled, Options, compile_model
from tinygen.program import Layer
from tinygen.tflite import read
from tinygen.toolchain import Firmware, build_selftest
from tinygen.validate.vectors import checked_constants, make_vectors, selftest_sources

FLIPS = 48


def built(path: Path, folder: Path, name: str | None = None) -> tuple[Compiled, Firmware]:
    """A model and its self-test for nano33, in a folder."""
    board = load_board("nano33")
    compiled = compile_model(read(str(path)), board, Options(name=name))
    files = {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, 1))}
    firmware = build_selftest(files, compiled.program.name, board, folder, toolchain=chosen(board, "gcc"))
    return compiled, firmware


@pytest.mark.parametrize("name", ["classifier", "kws"])
def test_every_flip_of_a_bit_of_the_constants_fails_and_names_its_layer(name: str, tmp_path: Path) -> None:
    """Most such flips change a tensor of the embedded input; those that do not are found all the same."""
    (tmp_path / "classifier.tflite").write_bytes(classifier())
    compiled, firmware = built(Path(KWS) if name == "kws" else tmp_path / "classifier.tflite", tmp_path)
    program = compiled.program
    choose = random.Random(8)
    places = [(constant, at) for constant in program.constants for at in range(constant.values.nbytes)]
    silent = 0
    for constant, at in choose.choices(places, k=FLIPS):
        bit = choose.randrange(8)
        result = run(flip(firmware, constant.symbol, at, bit, tmp_path), "unicorn")
        assert not result.passed, (constant.symbol, at, bit)
        layer = min(layer.index for layer in program.layers if constant in constants_of(layer))
        damaged = bytearray(constant.values.tobytes())
        expected = zlib.crc32(damaged)
        damaged[at] ^= 1 << bit
        array = constant.symbol.removeprefix(f"{name}_layer_{layer}_")
        assert result.lines[0] == (
            f"TINYGEN DIFFER {name} constants layer={layer} op={program.layers[layer].op_name} array={array} "
            f"crc={zlib.crc32(damaged):08x} expected={expected:08x}"
        )
        assert result.lines[-1].endswith(f" different={len(result.differences)}")
        silent += len(result.differences) == 1
    assert 0 < silent < FLIPS  # else the test would not show what the checksums of constants are for


def constants_of(layer: Layer) -> list[object]:
    """The arrays that a layer reads."""
    return [*layer.values, *(operand.constant for operand in layer.sources)]


def chain(operator: str, **options: object) -> bytes:
    """Two nodes of one operator, with equal quantisation."""
    b = ModelBuilder("chain")
    x = b.input((1, 4, 4, 4), scale=0.05, zero_point=-3, name="in")
    for number in range(2):
        y = b.tensor((1, 4, 4, 4), scale=0.05, zero_point=-3, name=f"out{number}")
        b.node(operator, [x], [y], **options)
        x = y
    b.output(x)
    return b.finish()


def test_an_array_that_several_layers_share_is_checked_once_and_named_after_the_first(tmp_path: Path) -> None:
    """Both layers look their values up in one table."""
    (tmp_path / "chain.tflite").write_bytes(chain("RELU"))
    compiled, firmware = built(tmp_path / "chain.tflite", tmp_path)
    (constant,) = compiled.program.constants
    assert [layer.index for layer in compiled.program.layers if constant in constants_of(layer)] == [0, 1]
    result = run(flip(firmware, constant.symbol, 15, 6, tmp_path), "unicorn")
    array = constant.symbol.removeprefix("chain_layer_0_")
    assert re.fullmatch(rf"TINYGEN DIFFER chain constants layer=0 op=RELU array={array} {CRCS}", result.lines[0])
    assert sum(" constants " in line for line in result.lines) == 1


def test_a_model_without_constants_has_none_to_check(tmp_path: Path) -> None:
    window = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "filter_width": 2, "filter_height": 2}
    (tmp_path / "chain.tflite").write_bytes(chain("MAX_POOL_2D", **window))
    compiled, firmware = built(tmp_path / "chain.tflite", tmp_path)
    assert checked_constants(compiled.program) == ()
    assert run(firmware, "unicorn").lines[-1] == "TINYGEN PASS chain inputs=1 layers=2"


def test_the_longest_line_is_printed_whole(tmp_path: Path) -> None:
    name = "n" * 40
    _, firmware = built(Path(KWS), tmp_path, name)
    symbol, first = weights_in(firmware.elf, name, 0, "CONV_2D")
    result = run(flip(firmware, symbol, first, 6, tmp_path), "unicorn")
    assert all(re.search(rf" {CRCS}$", line) for line in result.differences) and len(result.differences) > 1
