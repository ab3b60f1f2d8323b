"""Several memories: arena and constants lie where they were put, start-up fills them, and every value is right."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import tinygen
from tests.support.paths import EXAMPLES
from tinygen import Compiled, DoesNotFitError, Options, UsageError, load_board
from tinygen.attempts import choose
from tinygen.boards import Board, Memory, MemoryKind
from tinygen.cli import main
from tinygen.placement import place
from tinygen.toolchain import Build, Platform, build_firmware, find_host_compilers
from tinygen.toolchain.elf import open_elf

KWS, GESTURE, VISION = EXAMPLES
BOARDS = {  # by name: the emulator, and a second memory where the description has none
    "nucleo-h743zi": ("unicorn", None),
    "mps2-an386": ("qemu", Memory(name="psram", kind=MemoryKind.RAM, origin=0x2100_0000, size_bytes=0x100_0000)),
    "riscv-virt": ("qemu", Memory(name="slow", kind=MemoryKind.RAM, origin=0x8060_0000, size_bytes=0x20_0000)),
    "mps2-an385": ("unicorn", Memory(name="qspi", kind=MemoryKind.FLASH, origin=0x6000_0000, size_bytes=0x10_0000)),
}


def board_of(name: str) -> Board:
    """The board, with its second memory if its description has none."""
    board, more = load_board(name), BOARDS[name][1]
    if more is None:
        return board
    memories = [m if m.end <= more.origin or m.origin >= more.end else _shorter(m, more) for m in board.memories]
    return replace(board, memories=(*memories, more))


def _shorter(memory: Memory, more: Memory) -> Memory:
    return Memory(name=memory.name, kind=memory.kind, origin=memory.origin, size_bytes=more.origin - memory.origin)


def second(board: Board) -> Memory:
    return next(m for m in board.memories if m not in (board.flash, board.ram) and m.kind is not MemoryKind.CONSTANTS)


def compiled(board: Board, arena: str | None, weights: str | None, model: Path = GESTURE) -> Compiled:
    return tinygen.compile_model(
        tinygen.read_model(model), board, Options(arena_memory=arena, weights_memory=weights, name="net")
    )


def objects(elf: Path) -> dict[str, int]:
    """Address of every object of an ELF file."""
    with open_elf(elf) as file:
        symbols = file.get_section_by_name(".symtab").iter_symbols()
        return {s.name: s["st_value"] for s in symbols if s["st_info"]["type"] == "STT_OBJECT"}


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_put_into_another_memory_lies_there_and_every_value_is_right(name: str, tmp_path: Path) -> None:
    board = board_of(name)
    memory = second(board)
    arena = memory.name if memory.kind is MemoryKind.RAM else None
    model = compiled(board, arena, memory.name)
    assert model.placement.constants == {constant.symbol for constant in model.program.constants}
    firmware = build_firmware(model.sources.files, "net", board, Build.RELEASE, tmp_path)
    at = objects(firmware.elf)
    for symbol in model.placement.constants & at.keys():
        assert memory.origin <= at[symbol] < memory.end, symbol
    assert len(model.placement.constants & at.keys()) > 3
    assert (memory.origin <= at["memory"] < memory.end) is (arena is not None)
    comparison = tinygen.validate(model, emulator=BOARDS[name][0], inputs=0)
    assert comparison.equal and comparison.arena is not None and comparison.arena.holds


def test_without_a_word_everything_lies_where_it_always_did(tmp_path: Path) -> None:
    board = load_board("nucleo-h743zi")
    model = compiled(board, None, None)
    firmware = build_firmware(model.sources.files, "net", board, Build.RELEASE, tmp_path, platform=Platform.BOARD)
    at = objects(firmware.elf)
    assert board.ram.origin <= at["memory"] < board.ram.end
    constants = {constant.symbol for constant in model.program.constants} & at.keys()
    assert constants and all(board.flash.origin <= at[symbol] < board.flash.end for symbol in constants)


def test_a_small_memory_takes_the_constants_that_are_read_most_often() -> None:
    board = load_board("nucleo-h743zi")
    dtcm = second(board)
    program = compiled(board, None, None, VISION).program
    room = program.plan.arena_bytes - 1
    tiny = replace(
        board,
        memories=tuple(
            Memory(name=m.name, kind=m.kind, origin=m.origin, size_bytes=room) if m == dtcm else m
            for m in board.memories
        ),
    )
    chosen = place(program, tiny, None, "dtcm")
    assert 0 < chosen.constant_bytes <= room
    assert room - chosen.constant_bytes < 1_000, "filled as far as it goes"
    first, last = program.graph.nodes[0], program.graph.nodes[-2]
    assert first.op.name == "CONV_2D" and last.op.name == "FULLY_CONNECTED"
    assert any(symbol.startswith("net_layer_0_") for symbol in chosen.constants)
    largest_dense = max(
        (c for c in program.constants if c.symbol.startswith(f"net_layer_{len(program.graph.nodes) - 2}_")),
        key=lambda c: c.values.nbytes,
    )
    assert largest_dense.symbol not in chosen.constants, "its weights are read once"
    beside_an_arena = replace(tiny, memories=tiny.memories)
    assert place(program, beside_an_arena, "dtcm", "dtcm").constants == frozenset(), "the arena alone is larger"


def test_an_arena_that_its_memory_cannot_hold_is_a_miss_like_any_other() -> None:
    board = load_board("nucleo-h743zi")
    dtcm = second(board)
    small = replace(
        board,
        memories=tuple(
            Memory(name=m.name, kind=m.kind, origin=m.origin, size_bytes=1024) if m == dtcm else m
            for m in board.memories
        ),
    )
    choice = choose([(tinygen.read_model(KWS), Options(arena_memory="dtcm"))], small)
    with pytest.raises(DoesNotFitError, match="the arena does not fit the dtcm of board nucleo-h743zi"):
        choice.check()


@pytest.mark.parametrize(
    ("arena", "weights", "message"),
    [
        ("flash", None, "--arena-memory flash: board nucleo-h743zi has no such memory for it. It has dtcm, ram;"),
        ("itcm", None, "--arena-memory itcm"),
        (None, "ddr", "--weights-memory ddr: .* It has dtcm, flash, ram;"),
    ],
)
def test_a_memory_that_the_board_has_not_is_refused(arena: str | None, weights: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compiled(load_board("nucleo-h743zi"), arena, weights)


def test_build_tells_what_lies_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["build", str(GESTURE), "--board", "nucleo-h743zi", "-o", str(out), "--arena-memory", "dtcm"]
    assert main([*arguments, "--weights-memory", "dtcm"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("RAM 8,192 of 524,288 bytes") for line in lines)
    assert any(line.startswith("dtcm ") and "arena" in line and "constants" in line for line in lines)
    assert any(".bss.tinygen.dtcm" in line and ".data.tinygen.dtcm" in line for line in lines)
    manifest = json.loads((out / "manifest.json").read_text())
    place = manifest["placement"]
    assert (place["arena_memory"], place["fast_weights_memory"]) == ("dtcm", "dtcm")
    assert place["fast_weights_bytes"] == manifest["weights_bytes"] <= manifest["flash_bytes"]
    header = (out / "lib" / "gesture" / "include" / "gesture.h").read_text()
    assert '__attribute__((section(".bss.tinygen.dtcm")))' in header
    assert main([*arguments[:2], str(KWS), *arguments[2:], "--weights-memory", "dtcm"]) == 2
    assert "one model's constants" in capsys.readouterr().err


@pytest.mark.parametrize("standard", ["c99", "c++17"])
@pytest.mark.parametrize(
    "define", ["", "-DNET_ARENA_SECTION=", '-DNET_WEIGHTS_SECTION=__attribute__((section(".own")))']
)
def test_placed_c_is_valid_and_the_users_own_macros_win(standard: str, define: str, tmp_path: Path) -> None:
    command = next(iter(find_host_compilers()), None)
    if command is None:
        pytest.skip("install a native C compiler: apt install gcc")
    files = dict(compiled(load_board("nucleo-h743zi"), "dtcm", "dtcm").sources.files)
    files["use.c"] = '#include "net.h"\nNET_STATIC_ARENA(arena);\nint main(void) { net_run(arena); return 0; }\n'
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    language = ["-x", "c++"] if standard == "c++17" else []
    strict = (
        f"-std={standard}",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Wpedantic",
        "-Werror",
        *([define] * bool(define)),
    )
    for name in ("net.c", "net_weights.c", "use.c"):
        subprocess.run([*command, *language, *strict, "-c", name, "-o", f"{name}.o"], cwd=tmp_path, check=True)
    with open_elf(tmp_path / "use.c.o") as file:
        names = {section.name for section in file.iter_sections() if section["sh_size"]}
    assert (".bss.tinygen.dtcm" in names) is ("ARENA" not in define)


def test_tinygen_toml_names_memories_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.toml"
    path.write_text('board = "nucleo-h743zi"\narena_memory = "dtcm"\n')
    assert main(["inspect", str(GESTURE), "--config", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["placement"]["arena_memory"] == "dtcm" and printed["settings"]["arena_memory"] == "own.toml"
