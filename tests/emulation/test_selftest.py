"""The self-test with vectors inside prints PASS on every board, FAIL with the right layer, and FAIL when it faults."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.emulation import toy
from tests.golden.models import classifier
from tests.support.flip import weights_in
from tinygen.boards import Board, board_names, load_board
from tinygen.compile import Compiled, Options, compile_model
from tinygen.emulate import SelfTest, run_selftest
from tinygen.emulate.lines import Transcript
from tinygen.emulate.selftest_qemu import command
from tinygen.emulate.symbols import read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.targets import Architecture
from tinygen.tflite import read
from tinygen.toolchain import Build, Firmware, build_firmware, build_selftest, find_toolchain
from tinygen.validate.vectors import make_vectors, selftest_sources

NAME = "classifier"
INPUTS = 2
PASS = f"TINYGEN PASS {NAME} inputs={INPUTS} layers=6"
BOARDS = tuple(name for name in board_names() if load_board(name).target.architecture is not Architecture.XTENSA)
WITH_COUNTER = tuple(name for name in BOARDS if name not in ("microbit", "pico"))
UNICORN_BOARDS = tuple(name for name in BOARDS if load_board(name).emulation.unicorn)
QEMU_BOARDS = tuple(name for name in BOARDS if load_board(name).emulation.qemu_machine)
RUNS = [(name, "unicorn") for name in UNICORN_BOARDS] + [(name, "qemu") for name in QEMU_BOARDS]
# one of each core, on both emulators
SOME_RUNS = [("nano33", "unicorn"), ("pico", "unicorn"), ("esp32c3", "unicorn"), ("microbit", "qemu")]
SOME_RUNS += [(name, "qemu") for name in ("stm32f4-discovery", "mps2-an500", "mps2-an505", "mps3-an547", "riscv-virt")]


@functools.cache
def model(board_name: str, folder: Path) -> Compiled:
    path = folder / f"{NAME}.tflite"
    path.write_bytes(classifier())
    return compile_model(read(str(path)), load_board(board_name), Options())


@functools.cache
def sources(board_name: str, folder: Path) -> dict[str, str]:
    compiled = model(board_name, folder)
    return {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, INPUTS))}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def firmwares(models: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Builds each board's self-test once a compiler, in a folder whose name has a space."""

    @functools.cache
    def make(name: str, compiler: str = "gcc") -> Firmware:
        board = load_board(name)
        folder = tmp_path_factory.mktemp(f"{name} {compiler}")
        return build_selftest(sources(name, models), NAME, board, folder, toolchain=chosen(board, compiler))

    return make


def chosen(board: Board, compiler: str):  # type: ignore[no-untyped-def]
    try:
        return find_toolchain(board.target, prefer=compiler)
    except ToolError as error:
        pytest.skip(str(error))


def run(firmware: Firmware, emulator: str, timeout_s: float = 60.0) -> SelfTest:
    try:
        return run_selftest(firmware, emulator, timeout_s=timeout_s)
    except ToolError as error:
        pytest.skip(str(error))


# --- pass -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("name", BOARDS)
def test_every_board_passes_in_every_emulator_that_has_it(name: str, compiler: str, firmwares) -> None:  # type: ignore[no-untyped-def]
    firmware = firmwares(name, compiler)
    emulators = [emulator for board, emulator in RUNS if board == name]
    assert emulators
    for emulator in emulators:
        result = run(firmware, emulator)
        assert result.passed, result.lines
        assert result.lines[-1] == PASS
        assert re.fullmatch(rf"TINYGEN CYCLES {NAME} (\d+|-)", result.lines[1]) and len(result.lines) == 3
        assert result.layers == 6 and not result.differences


@pytest.mark.parametrize("name", UNICORN_BOARDS)
def test_the_cycles_that_unicorn_shows_are_the_instructions_it_counts(name: str, firmwares) -> None:  # type: ignore[no-untyped-def]
    result = run(firmwares(name), "unicorn")
    assert result.instructions and 1_000 < result.instructions < 50_000
    assert result.cycles == (result.instructions if name in WITH_COUNTER else None)
    assert run(firmwares(name), "unicorn") == result


def test_unicorn_and_qemu_count_the_same(firmwares) -> None:  # type: ignore[no-untyped-def]
    in_unicorn, in_qemu = (run(firmwares("riscv-virt"), emulator) for emulator in ("unicorn", "qemu"))
    assert in_unicorn.cycles and in_qemu.cycles
    # QEMU's counter also counts the instructions from one reading of it to the call, and back.
    assert 0 < in_qemu.cycles - in_unicorn.cycles < 20


def test_the_console_of_the_stm32f4_is_qemus_second_port() -> None:
    if not any(board == "stm32f4-discovery" for board, _ in RUNS):
        pytest.fail("the board has no emulator")
    try:
        words = command(load_board("stm32f4-discovery"))
    except AssertionError:
        pytest.skip("qemu-system-arm is missing: apt install qemu-system-arm")
    assert " ".join(words).endswith("-serial null -serial stdio")


@pytest.mark.parametrize(("near", "emulator"), [("mps2-an386", "unicorn"), ("mps2-an386", "qemu"),
                                                ("riscv-virt", "unicorn"), ("riscv-virt", "qemu")])  # fmt: skip
def test_a_board_without_a_uart_prints_by_semihosting(near: str, emulator: str, models: Path, tmp_path: Path) -> None:
    from tests.support.paths import ROOT

    text = (ROOT / "boards" / f"{near}.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(re.sub(r"\[console\].*?\n\n", '[console]\nuart = "semihosting"\n\n', text, flags=re.DOTALL))
    board = load_board(str(path))
    chosen(board, "gcc")
    firmware = build_selftest(sources(near, models), NAME, board, tmp_path / "b")
    assert run(firmware, emulator).lines[-1] == PASS


# --- fail -----------------------------------------------------------------------------------------------------------


CRCS = r"crc=[0-9a-f]{8} expected=[0-9a-f]{8}"


def flip(firmware: Firmware, symbol: str, at: int, bit: int, folder: Path) -> Firmware:
    """The firmware with one bit of one byte of a constant changed, in the ELF file itself."""
    data = bytearray(firmware.elf.read_bytes())
    with firmware.elf.open("rb") as file:
        elf = ELFFile(file)
        found = elf.get_section_by_name(".symtab").get_symbol_by_name(symbol)[0]
        section = elf.get_section(found["st_shndx"])
        assert at < found["st_size"]
        data[section["sh_offset"] + found["st_value"] - section["sh_addr"] + at] ^= 1 << bit
    path = folder / "flipped.elf"
    path.write_bytes(data)
    return Firmware(path, firmware.board, firmware.build, firmware.toolchain, firmware.name, firmware.platform)


@pytest.mark.parametrize(
    ("layer", "op", "at"), [(0, "CONV_2D", 4), (1, "DEPTHWISE_CONV_2D", 13), (4, "FULLY_CONNECTED", 5)]
)
@pytest.mark.parametrize(("name", "emulator"), SOME_RUNS)
def test_one_flipped_bit_of_a_weight_fails_in_its_layer(  # type: ignore[no-untyped-def]
    name: str, emulator: str, layer: int, op: str, at: int, firmwares, tmp_path: Path
) -> None:
    firmware = firmwares(name)
    symbol, first = weights_in(firmware.elf, NAME, layer, op)
    result = run(flip(firmware, symbol, first + at, 6, tmp_path), emulator)
    assert not result.passed
    array = symbol.removeprefix(f"{NAME}_layer_{layer}_")
    constants, tensors = result.lines[0], result.lines[1]
    assert re.fullmatch(rf"TINYGEN DIFFER {NAME} constants layer={layer} op={op} array={array} {CRCS}", constants)
    assert re.fullmatch(rf"TINYGEN DIFFER {NAME} input=0 layer={layer} op={op} {CRCS}", tensors), result.lines
    last = re.fullmatch(rf"TINYGEN FAIL {NAME} inputs={INPUTS} layers=6 different=(\d+)", result.lines[-1])
    assert last and int(last[1]) == len(result.differences) > INPUTS
    layers = [int(found) for line in result.differences for found in re.findall(r" layer=(\d+) ", line)]
    assert min(layers) == layer


FAULTS = {"stray write": "*(volatile int32_t *)(uintptr_t)0x{}u = 1;", "illegal instruction": "__builtin_trap();"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "emulator"), SOME_RUNS)
def test_a_fault_prints_fail_with_cause_and_place(name: str, emulator: str, fault: str, tmp_path: Path) -> None:
    nowhere = "7f000004" if name == "microbit" else "f0000004"  # no memory of any of QEMU's machines
    statement = FAULTS[fault].format(nowhere)
    board = load_board(name)
    chosen(board, "gcc")
    firmware = build_selftest(toy.selftest_files(toy.broken(statement)), toy.NAME, board, tmp_path)
    result = run(firmware, emulator)
    assert not result.passed and len(result.lines) == 1
    found = re.fullmatch(r"TINYGEN FAIL toy fault cause=([0-9a-f]{8}) pc=([0-9a-f]{8}) address=(\S+)", result.lines[0])
    assert found, result.lines
    assert read_image(firmware.elf).function_at(int(found[2], 16)) == "toy_run"
    assert int(found[1], 16) in ((2, 3, 5, 7) if name in ("esp32c3", "riscv-virt") else (3, 4, 5, 6))
    if fault == "stray write" and name != "microbit":  # Armv6-M tells no address
        assert found[3] == nowhere


@pytest.mark.parametrize("instruction", [".word 0xffffffff", ".half 0", "csrr a0, 0x7e2"])
def test_an_instruction_that_the_core_lacks_is_reported_by_its_own_address(instruction: str, tmp_path: Path) -> None:
    statement = f'__asm__ volatile(".globl culprit\\nculprit: {instruction}" ::: "a0");'
    board = load_board("esp32c3")
    chosen(board, "gcc")
    firmware = build_selftest(toy.selftest_files(toy.broken(statement)), toy.NAME, board, tmp_path)
    culprit = read_image(firmware.elf).symbol("culprit")
    assert run(firmware, "unicorn").lines == (f"TINYGEN FAIL toy fault cause=00000002 pc={culprit:08x} address=-",)


@pytest.mark.parametrize(("name", "emulator"), [("nano33", "unicorn"), ("mps2-an386", "qemu")])
def test_a_self_test_that_does_not_end_is_told(name: str, emulator: str, tmp_path: Path) -> None:
    files = toy.selftest_files(toy.broken('for (;;) { __asm__ volatile(""); }'))
    chosen(load_board(name), "gcc")
    firmware = build_selftest(files, toy.NAME, load_board(name), tmp_path)
    with pytest.raises(EmulatorError, match=r"last line did not come in 1 s.* It had printed nothing\."):
        run(firmware, emulator, timeout_s=1.0)


def test_a_register_that_no_model_has_is_told(tmp_path: Path) -> None:
    files = toy.selftest_files(toy.broken("*(volatile uint32_t *)0x40002f00u = 1;"))
    chosen(load_board("nano33"), "gcc")
    firmware = build_selftest(files, toy.NAME, load_board("nano33"), tmp_path)
    with pytest.raises(EmulatorError, match=r"write of 4 bytes at 0x40002f00, which is no register.*function toy_run"):
        run(firmware, "unicorn")


def test_firmware_without_vectors_is_refused(tmp_path: Path) -> None:
    board = load_board("nano33")
    firmware = build_firmware(toy.FILES, toy.NAME, board, Build.RELEASE, tmp_path, toolchain=chosen(board, "gcc"))
    with pytest.raises(EmulatorError, match="no vectors inside"):
        run_selftest(firmware, "unicorn", timeout_s=1.0)


def test_the_self_test_is_no_firmware_for_streams(tmp_path: Path) -> None:
    from tinygen.emulate import find_emulator

    chosen(load_board("mps2-an386"), "gcc")
    firmware = build_selftest(toy.selftest_files(), toy.NAME, load_board("mps2-an386"), tmp_path)
    for emulator in ("unicorn", "qemu"):
        try:
            runner = find_emulator(firmware.board, emulator)
        except ToolError as error:
            pytest.skip(str(error))
        with pytest.raises(EmulatorError, match="linked for self-test"):
            runner.run(firmware, toy.job())


def test_the_host_runs_no_self_test(firmwares) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ToolError, match=r"it runs no board's firmware\. Known here: unicorn, qemu"):
        run_selftest(firmwares("nano33"), "host", timeout_s=1.0)


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_lines_are_found_in_noise_whatever_the_pieces(piece: int) -> None:
    data = (
        b"\xff\x00ESP-ROM:esp32c3\r\nGEN PASS kws inputs=1\r\n\x80TINYGEN DIFFER kws input=0 layer=3\r\n"
        b"TINYGEN PASS other inputs=1 layers=9\r\nTINYGEN CYCLES kws 77\r\n"
        b"TINYGEN FAIL kws inputs=1 layers=6 different=1\r\nTINYGEN PASS kws inputs=1 layers=6\r\n"
    )
    transcript = Transcript("kws")
    for at in range(0, len(data), piece):
        transcript.feed(data[at : at + piece])
    result = transcript.result(5)
    assert result.lines == (
        "TINYGEN DIFFER kws input=0 layer=3",
        "TINYGEN CYCLES kws 77",
        "TINYGEN FAIL kws inputs=1 layers=6 different=1",
    )
    assert (result.passed, result.cycles, result.layers, result.instructions) == (False, 77, 6, 5)
    assert result.differences == ("TINYGEN DIFFER kws input=0 layer=3",)
    assert transcript.other_models == {"other"}


def test_noise_without_an_end_of_line_does_not_grow() -> None:
    transcript = Transcript("kws")
    for _ in range(100):
        transcript.feed(b"\xff" * 1000)
    assert len(transcript._open) == 1024
    transcript.feed(b"\nTINYGEN PASS kws inputs=1 layers=1\n")
    assert transcript.result().passed
