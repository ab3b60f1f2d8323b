"""Every shipped board is sane, and every fault of a user's board file is told by key, value and what to do."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES
from tinygen.boards import MemoryKind, UartFamily, board_names, load_board
from tinygen.cli import main
from tinygen.errors import BoardError
from tinygen.targets import FEATURES, TARGETS, Architecture, target_names

# Flash origin and size, RAM origin and size: from the chips' data sheets, Espressif's memory.ld files, and Arm's notes.
ADDRESSES = (
    ("esp32", 0x400D_0000, 0x33_0000, 0x3FFB_0000, 0x3_0000),
    ("esp32c3", 0x4200_0000, 0x40_0000, 0x3FC8_0000, 0x5_0000),
    ("esp32s3", 0x4200_0000, 0x80_0000, 0x3FC8_8000, 0x5_0000),
    ("microbit", 0x0000_0000, 0x4_0000, 0x2000_0000, 0x4000),
    ("mps2-an385", 0x0000_0000, 0x40_0000, 0x2000_0000, 0x40_0000),
    ("mps2-an386", 0x0000_0000, 0x40_0000, 0x2000_0000, 0x40_0000),
    ("mps2-an500", 0x0000_0000, 0x40_0000, 0x2000_0000, 0x40_0000),
    ("mps2-an505", 0x1000_0000, 0x40_0000, 0x3800_0000, 0x40_0000),
    ("mps3-an547", 0x0000_0000, 0x8_0000, 0x2000_0000, 0x8_0000),
    ("nano33", 0x0001_0000, 0xF_0000, 0x2000_0000, 0x4_0000),
    ("nucleo-h743zi", 0x0800_0000, 0x20_0000, 0x2400_0000, 0x8_0000),
    ("nucleo-l4r5zi", 0x0800_0000, 0x20_0000, 0x2000_0000, 0xA_0000),
    ("nucleo-u575zi", 0x0800_0000, 0x20_0000, 0x2000_0000, 0xC_0000),
    ("pico", 0x1000_0000, 0x20_0000, 0x2000_0000, 0x4_2000),
    ("riscv-virt", 0x8000_0000, 0x40_0000, 0x8040_0000, 0x40_0000),
    ("stm32f4-discovery", 0x0800_0000, 0x10_0000, 0x2000_0000, 0x2_0000),
    ("stm32f746-discovery", 0x0800_0000, 0x10_0000, 0x2000_0000, 0x5_0000),
)
QEMU = {
    Architecture.ARM_M: ("qemu-system-arm", "apt install qemu-system-arm"),
    Architecture.RISCV32: ("qemu-system-riscv32", "apt install qemu-system-misc"),
    Architecture.XTENSA: ("qemu-system-xtensa", "apt install qemu-system-misc"),
}
every_board = pytest.mark.parametrize("name", board_names())


@pytest.mark.parametrize(("name", "flash", "flash_bytes", "ram", "ram_bytes"), ADDRESSES, ids=[a[0] for a in ADDRESSES])
def test_memories_lie_where_the_chip_has_them(
    name: str, flash: int, flash_bytes: int, ram: int, ram_bytes: int
) -> None:
    board = load_board(name)
    assert (board.flash.origin, board.flash_bytes) == (flash, flash_bytes)
    assert (board.ram.origin, board.ram_bytes) == (ram, ram_bytes)


@every_board
def test_a_cortex_m_board_keeps_to_the_architectures_memory_map(name: str) -> None:
    board = load_board(name)
    if board.target.architecture is Architecture.ARM_M:
        assert board.flash.end <= 0x2000_0000
        assert all(m.origin >= 0x2000_0000 and m.end <= 0x4000_0000 for m in board.memories if m.kind.value == "ram")
        assert 0x4000_0000 <= board.console.base < 0x6000_0000
    assert board.title and board.chip and board.description.endswith(".")
    assert board.clock_hz >= board.console.clock_hz


@every_board
def test_registers_lie_outside_the_memories_and_every_step_does_something(name: str) -> None:
    board = load_board(name)
    assert board.console.uart is not UartFamily.SEMIHOSTING
    addresses = [board.console.base, *(step.address for step in board.console.setup)]
    assert not [hex(a) for a in addresses for m in board.memories if m.origin <= a < m.end]
    for step in board.console.setup:
        assert re.fullmatch(r"[A-Z0-9_]+(: .+)?", step.why), step.why
        assert step.clear or step.set or step.wait_set
        assert not (step.wait_set and (step.clear or step.set)), "a step that waits writes nothing"


@every_board
def test_the_stack_leaves_the_arena_most_of_the_ram(name: str) -> None:
    board = load_board(name)
    assert board.stack_bytes == (2048 if board.ram_bytes <= 32 * 1024 else 8192)
    assert board.stack_bytes * 8 <= board.ram_bytes


@every_board
def test_an_emulator_runs_the_board_and_renode_knows_cpu_and_uart(name: str) -> None:
    board = load_board(name)
    emulation = board.emulation
    assert emulation.unicorn == bool(board.target.unicorn_cpu)
    assert emulation.unicorn or emulation.qemu_machine
    assert emulation.renode_cpu
    assert re.fullmatch(r"UART\.[A-Z0-9_]+", emulation.renode_uart)
    assert all(re.fullmatch(r"\w+: \w+", line) for line in emulation.renode_uart_settings)


@functools.cache
def qemu_machines(program: str) -> set[str]:
    listing = subprocess.run([program, "-M", "help"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listing.splitlines()[1:]}


@pytest.mark.parametrize("name", [name for name in board_names() if load_board(name).emulation.qemu_machine])
def test_qemu_has_the_boards_machine(name: str) -> None:
    board = load_board(name)
    program, install = QEMU[board.target.architecture]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is missing: {install}")
    assert board.emulation.qemu_machine in qemu_machines(program)


@pytest.mark.parametrize("target", [t for t in TARGETS if t.unicorn_cpu], ids=lambda t: t.name)
def test_unicorn_has_the_targets_cpu(target) -> None:  # type: ignore[no-untyped-def]
    unicorn = pytest.importorskip("unicorn", reason="unicorn is missing: pip install unicorn")
    module, prefix = {
        Architecture.ARM_M: (unicorn.arm_const, "UC_CPU_ARM_"),
        Architecture.RISCV32: (unicorn.riscv_const, "UC_CPU_RISCV32_"),
    }[target.architecture]
    assert hasattr(module, prefix + target.unicorn_cpu)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_targets_are_made_of_known_features(target) -> None:  # type: ignore[no-untyped-def]
    assert target.features <= FEATURES.keys()
    assert target_names().count(target.name) == 1
    assert target.families


# --- the user's own files -----------------------------------------------------------------------------------------

SOUND = """\
title = "Mine"
chip = "none"
target = "cortex-m4f"
clock_hz = 64_000_000

[[memories]]
name = "flash"
kind = "flash"
origin = 0
size_bytes = 0x10_0000

[[memories]]
name = "ram"
kind = "ram"
origin = 0x2000_0000
size_bytes = 0x1_0000
"""
CONSOLE = '\n[console]\nuart = "pl011"\nbase = 0x4003_4000\nclock_hz = 12_000_000\n'


def faults_of(text: str | bytes, folder: Path) -> str:
    """What load_board says of a file with this text."""
    path = folder / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BoardError) as caught:
        load_board(str(path))
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def changed(old: str, new: str, text: str = SOUND) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SOUND + '[emulation]\nunicom = true\n', "the key emulation.unicom is unknown. Did you mean 'unicorn'?"),
        (changed("clock_hz", "clokc_hz"), "the key clokc_hz is unknown. Did you mean 'clock_hz'?"),
        (changed("[[memories]]", "zzz = 1\n[[memories]]"), "the key zzz is unknown. Known keys here: title, chip, "),
        (changed("origin", "orign"), "the key memories[0].orign is unknown. Did you mean 'origin'?"),
        (SOUND + CONSOLE + 'setup = [{ adress = 4, why = "x" }]\n',
         "the key console.setup[0].adress is unknown. Did you mean 'address'?"),
        (changed("clock_hz = 64_000_000\n", ""), "the key clock_hz is missing. Add it; see boards/nano33.toml"),
        (changed("size_bytes = 0x1_0000\n", ""), "the key memories[1].size_bytes is missing. Add it;"),
        (SOUND + "[console]\nbase = 4\n", "the key console.uart is missing. Add it;"),
        (changed('kind = "ram"', 'kind = "rum"'), "memories[1].kind: Invalid enum value 'rum'. Known: flash, ram, "),
        (SOUND + '[console]\nuart = "usart"\n', "console.uart: Invalid enum value 'usart'. Known: nrf_uarte, "),
        (changed("64_000_000", '"64 MHz"'), "clock_hz: Expected `int`, got `str`."),
        (changed("64_000_000", "true"), "clock_hz: Expected `int`, got `bool`."),
        (changed("64_000_000", "64e6"), "clock_hz: Expected `int`, got `float`."),
        (changed("cortex-m4f", "cortex-m4x"), "target: 'cortex-m4x' is not a known instruction set. Did you mean "),
        (changed("cortex-m4f", "z80"), "target: 'z80' is not a known instruction set. Known: cortex-m0, "),
        (changed("size_bytes = 0x1_0000", "size_bytes = 0"), "memories[1].size_bytes is 0; a memory has at least one"),
        (changed("size_bytes = 0x1_0000", "size_bytes = -16"), "memories[1].size_bytes is -16; a memory has at least"),
        (changed("0x2000_0000", "0xF_FFF0"),
         "The memories flash (0x00000000 to 0x00100000) and ram (0x000ffff0 to 0x0010fff0) overlap."),
        (changed("0x2000_0000", "0xFFFF_8000"), "memories[1] reaches from 0xffff8000 to 0x100008000, outside 32-bit"),
        (changed("origin = 0\n", "origin = -16\n"), "memories[0] reaches from -0x10 to 0xffff0, outside 32-bit"),
        (changed("0x2000_0000", "0x2000_0008"), "memories[1].origin is 0x20000008; it must be a multiple of 16."),
        (changed('name = "ram"', 'name = "flash"'), "Two memories are called 'flash'."),
        (changed('name = "ram"', 'name = "ram}"'), "memories[1].name is 'ram}'; letters, digits and _ only"),
        (changed('kind = "ram"', 'kind = "constants"'), "No memory is of kind 'ram'; a board needs at least one."),
        (changed("64_000_000", "999"), "clock_hz is 999; a clock of 1 kHz to 10 GHz is expected."),
        ("stack_bytes = 1000\n" + SOUND, "stack_bytes is 1000; it must be a multiple of 16, at least 256, and fit"),
        ("stack_bytes = 0x10010\n" + SOUND, "stack_bytes is 65552; it must be a multiple of 16, at least 256, and"),
        (SOUND + CONSOLE.replace("0x4003_4000", "2"), "console.base is 0x2; the UART's address is expected."),
        (SOUND + CONSOLE + "baud = 0\n", "console.baud is 0; 100 to 20000000 is expected."),
        (SOUND + CONSOLE.replace("clock_hz = 12_000_000", ""), "console.clock_hz is 0; the UART's input clock"),
        (SOUND + CONSOLE.replace("pl011", "nrf_uart"), "console.tx_pin is missing; nRF chips route the UART to any"),
        (SOUND + CONSOLE + 'setup = [{ address = 6, set = 1, why = "x" }]\n', "console.setup[0]: address and masks"),
        (SOUND + CONSOLE + 'setup = [{ address = 4096, set = 1, wait_set = 1, why = "x" }]\n',
         "console.setup[0] both writes and waits; make it two steps."),
        (SOUND + CONSOLE + 'setup = [{ address = 0x4000_0000, why = "x" }]\n',
         "console.setup[0] does nothing; give it clear and set, or wait_set."),
        (SOUND + CONSOLE + 'setup = [{ address = 0x2000_0000, set = 1, why = "x" }]\n',
         "console.setup[0].address is 0x20000000, which lies in ram; a register is expected."),
        (SOUND + CONSOLE + 'setup = [{ address = 0x4000_0000, set = 1, why = """x\ny""" }]\n',
         "console.setup[0].why is 'x\\ny'; one line of text is expected."),
        (changed('"Mine"', '"Mi\\u2028ne"'), "title is 'Mi\\u2028ne'; one line of text is expected."),
        (changed('"none"', '"no\\tne"'), "chip is 'no\\tne'; one line of text is expected."),
        (SOUND + CONSOLE + 'name = "usart 1"\n', "console.name is 'usart 1'; a letter, then letters, digits"),
        (SOUND + CONSOLE + 'name = "_uart"\n', "console.name is '_uart'; a letter, then"),
        (SOUND + CONSOLE.replace("0x4003_4000", "0x2000_0100"), "console.base is 0x20000100, which lies in ram;"),
        (SOUND + CONSOLE.replace("0x4003_4000", "0xE000_E000"), "console.base is 0xe000e000, which lies in the core's"),
        (changed("0x2000_0000", "0xE000_0000"), "The memory ram reaches into the core's own registers, 0xe0000000 to"),
        (SOUND + '[emulation]\nrenode_cpu = "cortex-m4\\""\n', "emulation.renode_cpu is 'cortex-m4\"'; a cpuType such"),
        (SOUND + '[emulation]\nrenode_uart = "PL011"\n', "emulation.renode_uart is 'PL011'; a model such as UART."),
        (SOUND + '[emulation]\nrenode_uart_settings = ["a: 1", "b"]\n',
         "emulation.renode_uart_settings[1] is 'b'; `property: value` is expected, in one line."),
        (SOUND + '[emulation]\nrenode_platform = "platforms/../a b.repl"\n',
         "emulation.renode_platform is 'platforms/../a b.repl'; a file that comes with Renode, such as"),
        (SOUND.replace("cortex-m4f", "rv32imc") + CONSOLE
         + 'setup = [{ address = 4096, set = 1, before_ram = true, why = "x" }]\n',
         "before_ram is for Cortex-M only."),
        ('boot = "rp2350"\n' + SOUND, "boot: Invalid enum value 'rp2350'. Known: rp2040."),
        ('boot = "rp2040"\n' + SOUND, "boot is 'rp2040', whose cores are cortex-m0plus; target is 'cortex-m4f'."),
        ('boot = "rp2040"\n' + SOUND, "starts what lies at 0x10000000; the memory flash begins at 0x00000000."),
        ('boot = "rp2040"\nstack_bytes = 0x4000\n' + SOUND, "stack_bytes is 16384; with boot = 'rp2040' the stack,"),
        (changed("cortex-m4f", "cortex-m55") + "[emulation]\nunicorn = true\n",
         "emulation.unicorn is true, but Unicorn has no model of cortex-m55."),
        (changed("cortex-m4f", "xtensa-lx6"), "An Xtensa board needs a memory of kind 'instruction_ram'"),
        (SOUND.encode() + b"# caf\xe9\n", "the file is not UTF-8 text (invalid continuation byte at byte"),
        (b"\xff\xfe" + SOUND.encode("utf-16-le"), "the file is not UTF-8 text (invalid start byte at byte 0)."),
        (changed('"Mine"', '"Mine'), "the file is not TOML: "),
        (SOUND + "target = 1\n", "memories[1].target is unknown."),
        ("", "the key title is missing. Add it;"),
        ("[" * 5000, "the file "),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_key_value_and_remedy(text: str | bytes, sentence: str, tmp_path: Path) -> None:
    assert sentence in faults_of(text, tmp_path)


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    text = changed("0x1_0000", "0", changed("64_000_000", "5", changed("0x2000_0000", "0x8_0001")))
    message = faults_of("stack_bytes = 8\n" + text, tmp_path)
    for part in ("size_bytes is 0", "clock_hz is 5", "0x80001; it must be a multiple", "overlap", "stack_bytes is 8"):
        assert part in message, message


@pytest.mark.parametrize("text", [SOUND, "\ufeff" + SOUND, SOUND.replace("\n", "\r\n")], ids=["lf", "bom", "crlf"])
@pytest.mark.parametrize("place", ["mine.toml", "./mine.toml", "deep/mine.toml"])
def test_a_sound_file_is_a_board_whatever_its_path_and_line_ends(
    place: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep").mkdir()
    Path(place).write_bytes(text.encode())
    board = load_board(place)
    assert (board.name, board.title, board.target.name) == ("mine", "Mine", "cortex-m4f")
    assert [m.kind for m in board.memories] == [MemoryKind.FLASH, MemoryKind.RAM]
    assert (board.stack_bytes, board.console.uart) == (8192, UartFamily.SEMIHOSTING)


def test_the_command_line_builds_for_a_file_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(SOUND)
    assert main(["build", str(EXAMPLES[0]), "--board", "./mine.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["board"] == "mine"
    assert Path("kws_mine/kws/src/kws.c").is_file()


@pytest.mark.parametrize(
    "place",
    ["./absent.toml", "absent.toml", "boards/nano33", ".", "x" * 5000 + ".toml", "\0.toml"],
    ids=["dotted", "bare", "folder", "here", "long", "null"],
)
def test_a_path_without_a_file_is_told(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BoardError, match=r"there is no such board file|is unknown"):
        load_board(place)


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    with pytest.raises(BoardError, match="there is no such board file"):
        load_board(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("nano-33", "Did you mean nano33"),
        ("NANO33", "Did you mean nano33"),
        ("esp32-s3", "Did you mean esp32s3 or "),
        ("picoo", "Did you mean pico"),
        ("a-board-of-mine-0815", "is unknown. Known boards: esp32, "),
        ("", "is unknown. Known boards: esp32, "),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones(name: str, suggestion: str) -> None:
    with pytest.raises(BoardError) as caught:
        load_board(name)
    assert suggestion in str(caught.value)
    assert "--board ./mine.toml" in str(caught.value)
