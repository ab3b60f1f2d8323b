"""The proofs about memory hold, and each is seen to fail: a write beside the arena, a read of what nobody wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import tinygen
from tests.support.paths import EXAMPLES
from tinygen import Compiled, EmulatorError, cli, load_board
from tinygen.emulate import OTHER_PAINT, PAINT, Inference, Job, Run, Step
from tinygen.toolchain import Build, Firmware, Platform
from tinygen.validate.arena import check_stack, compare_paints, ends, repainted

GESTURE = EXAMPLES[1]
BOARDS = [("nano33", "unicorn"), ("esp32c3", "unicorn"), ("mps2-an386", "qemu"), ("nano33", "host")]


def compiled(board: str) -> Compiled:
    return tinygen.compile_model(tinygen.read_model(GESTURE), load_board(board))


def sabotaged(model: Compiled, statement: str) -> Compiled:
    """The same C with one more statement in front of the first layer."""
    files = dict(model.sources.files)
    head = "void gesture_run(void *arena)\n{\n"
    assert head in files["gesture.c"]
    files["gesture.c"] = files["gesture.c"].replace(head, f"{head}    {statement}\n")
    return replace(model, sources=replace(model.sources, files=files))


def idle_byte(model: Compiled) -> int:
    """A byte of the arena that holds nothing when an inference begins."""
    (port,) = model.program.inputs
    last = model.program.plan.arena_bytes - 1
    if port.offset_bytes + port.tensor.size_bytes <= last:
        return last
    assert port.offset_bytes > 0
    return 0


@pytest.mark.parametrize(("board", "emulator"), BOARDS)
def test_an_inference_depends_on_nothing_that_the_arena_held(board: str, emulator: str) -> None:
    comparison = tinygen.validate(compiled(board), emulator=emulator, inputs=0)
    proof = comparison.arena
    assert comparison.equal and proof is not None and proof.holds
    assert proof.paints == (PAINT, OTHER_PAINT) and PAINT ^ OTHER_PAINT == 0xFF
    graph = comparison.compiled.program.graph
    layers = sum(t.size_bytes for node in graph.nodes for t in node.outputs)
    assert proof.bytes_compared == 2 * (layers + sum(t.size_bytes for t in graph.outputs))


@pytest.mark.parametrize(("board", "emulator"), BOARDS)
def test_the_stack_that_was_used_is_within_the_compilers_bound(board: str, emulator: str) -> None:
    comparison = tinygen.validate(compiled(board), emulator=emulator, inputs=0)
    if emulator == "host":
        assert comparison.stack_bytes is comparison.stack_bound_bytes is None
        return
    assert comparison.stack_bytes is not None and comparison.stack_bound_bytes is not None
    assert 0 < comparison.stack_bytes <= comparison.stack_bound_bytes < 1024


@pytest.mark.parametrize(("board", "emulator"), BOARDS)
def test_a_read_of_what_nobody_wrote_is_seen_and_its_layer_named(board: str, emulator: str) -> None:
    model = compiled(board)
    (port,) = model.program.inputs
    # Wrong in one paint only, and only where layers are shown: the reference agrees with all it is shown.
    statement = f"((uint8_t *)arena)[{port.offset_bytes}] ^= ((const uint8_t *)arena)[{idle_byte(model)}] & 0x80u;"
    bad = sabotaged(model, f"\n#ifdef TINYGEN_VALIDATE\n    {statement}\n#endif")
    comparison = tinygen.validate(bad, emulator=emulator, inputs=1)
    assert comparison.totals.values_different == 0
    assert not comparison.equal and comparison.arena is not None
    difference = comparison.arena.difference
    assert difference is not None and (difference.inference, difference.layer) == (0, 0)


def test_such_a_read_in_the_firmware_as_it_ships_differs_from_the_reference() -> None:
    model = compiled("nano33")
    statement = f"(void)arena; if (((const uint8_t *)arena)[{idle_byte(model)}] == {OTHER_PAINT}u) {{ return; }}"
    comparison = tinygen.validate(sabotaged(model, f"\n#ifndef TINYGEN_VALIDATE\n    {statement}\n#endif"), inputs=0)
    assert not comparison.equal and comparison.totals.values_different > 0


@pytest.mark.parametrize(("board", "emulator"), [b for b in BOARDS if b[1] != "host"])
@pytest.mark.parametrize(
    ("place", "message"),
    [("GESTURE_ARENA_BYTES", "0 bytes behind the arena's end"), ("-1", "1 bytes before the arena's start")],
)
def test_one_byte_beside_the_arena_is_seen(place: str, message: str, board: str, emulator: str) -> None:
    bad = sabotaged(compiled(board), f"((uint8_t *)arena)[{place}] = 1u;")
    with pytest.raises(EmulatorError, match=message):
        tinygen.validate(bad, emulator=emulator, inputs=0)


def test_validate_says_what_it_proved(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["validate", str(GESTURE), "--board", "nano33", "--inputs", "0"]
    assert cli.main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    proof = printed["arena_proof"]
    assert proof["independent_of_arena"] is True and proof["first_difference"] is None
    assert (proof["paints"], proof["guard_bytes"]) == ([PAINT, OTHER_PAINT], 64)
    assert printed["stack_bytes"] <= printed["stack_bound_bytes"]
    validate = cli.validate

    def on_bad_code(model: Compiled, **settings: object) -> object:
        (port,) = model.program.inputs
        statement = f"((uint8_t *)arena)[{port.offset_bytes}] ^= ((const uint8_t *)arena)[{idle_byte(model)}] & 0x80u;"
        return validate(sabotaged(model, f"\n#ifdef TINYGEN_VALIDATE\n    {statement}\n#endif"), **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(cli, "validate", on_bad_code)
    assert cli.main(arguments) == 1
    printed_text = capsys.readouterr().out
    assert "depends on what the arena held" in printed_text and "layer 0" in printed_text


def make_run(change: Callable[[bytes], bytes] = bytes) -> Run:
    """One inference of one step of two rows, and its output."""
    data = bytes(range(6))
    return Run("none", (Inference((Step(0, 0, 0, 2, 3, change(data)),), (data[:1],), None, None),))


def test_the_first_row_that_differs_is_named() -> None:
    graph = compiled("nano33").program.graph
    assert compare_paints(graph, make_run(), make_run()).holds
    proof = compare_paints(graph, make_run(), make_run(lambda data: data[:4] + b"\xff" + data[5:]))
    assert proof.difference is not None and (proof.difference.layer, proof.difference.row) == (0, 1)


def test_the_second_run_is_of_the_first_and_the_last_inference() -> None:
    job = Job(tuple((bytes([n]),) for n in range(5)), (1,), 1.0)
    again = repainted(job)
    assert (again.inputs, again.paint) == (((b"\0",), (b"\4",)), OTHER_PAINT)
    assert ends(1) == (0,)


def test_a_stack_above_its_bound_is_an_error() -> None:
    firmware = Firmware(
        Path("x.elf"), load_board("nano33"), Build.RELEASE, "gcc", "net", Platform.BOARD, stack_bound_bytes=100
    )
    check_stack(firmware, 100)
    check_stack(firmware, None)
    check_stack(replace(firmware, stack_bound_bytes=None), 101)
    with pytest.raises(EmulatorError, match="used 101 bytes of stack, but the compiler's report allows 100"):
        check_stack(firmware, 101)
