"""The Pico's self-test starts as the RP2040's boot ROM starts it, and its checksum is the one that the ROM computes."""

from __future__ import annotations

import functools
import re
import struct
from pathlib import Path

import pytest

from tests.emulation import toy
from tests.support.paths import ROOT
from tests.unit.test_console import RESET_VALUES
from tinygen.boards import Board, load_board
from tinygen.emulate.engine import PAGE_BYTES, SYSTEM_CONTROL, make_core
from tinygen.emulate.selftest import run_selftest
from tinygen.emulate.selftest_unicorn import UnicornSelfTest
from tinygen.emulate.symbols import Image, read_image
from tinygen.errors import ToolError
from tinygen.toolchain import Build, Firmware, Platform, build_firmware, build_selftest, find_toolchain
from tinygen.toolchain.boot import crc32, seal
from tinygen.toolchain.linker import linker_script

FLASH, SSI, VTOR = 0x1000_0000, 0x1800_0000, 0xE000_ED08
LOADED_AT, HEAD_BYTES = 0x2004_1F00, 256
TABLE_WORDS = 16

# Register, offset, value: the RP2040's data sheet, 4.10.13; what it has after the ROM's own reading is not of interest.
SSI_WRITES = [
    ("SSIENR", 0x08, 0),
    ("BAUDR", 0x14, 4),
    ("CTRLR0", 0x00, 31 << 16 | 3 << 8),
    ("CTRLR1", 0x04, 0),
    ("SPI_CTRLR0", 0xF4, 0x03 << 24 | 2 << 8 | 6 << 2),
    ("SSIENR", 0x08, 1),
]

every_compiler = pytest.mark.parametrize("compiler", ["gcc", "zig"])


@pytest.fixture(scope="module")
def firmwares(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    @functools.cache
    def make(compiler: str) -> Firmware:
        return build(load_board("pico"), tmp_path_factory.mktemp(compiler) / "a b", compiler)

    return make


def build(board: Board, folder: Path, compiler: str = "gcc") -> Firmware:
    try:
        toolchain = find_toolchain(board.target, prefer=compiler)
    except ToolError as missing:
        pytest.skip(str(missing))
    return build_selftest(toy.selftest_files(), toy.NAME, board, folder, toolchain=toolchain)


def head_of(image: Image) -> bytes:
    """The first 256 bytes of flash."""
    (head,) = (data[FLASH - address :][:HEAD_BYTES] for address, data in image.segments if address == FLASH)
    assert len(head) == HEAD_BYTES
    return head


def mine(folder: Path, *changes: tuple[str, str]) -> str:
    """A board file like the Pico's with texts replaced."""
    text = (ROOT / "boards" / "pico.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return str(folder / "mine.toml")


# --- checksum -----------------------------------------------------------------------------------------------------


def remainder(data: bytes) -> int:
    """The CRC as algebra: the message, its first 32 bits inverted, times x^32, modulo the polynomial."""
    value = int.from_bytes(data, "big") ^ 0xFFFF_FFFF << len(data) * 8 - 32
    value <<= 32
    for bit in range(value.bit_length() - 1, 31, -1):
        if value >> bit & 1:
            value ^= 0x1_04C1_1DB7 << bit - 32
    return value


def test_the_checksum_is_the_published_one() -> None:
    assert crc32(b"123456789") == remainder(b"123456789") == 0x0376_E6E7  # CRC-32/MPEG-2's check value


@every_compiler
def test_the_file_is_sealed(compiler: str, firmwares) -> None:  # type: ignore[no-untyped-def]
    head = head_of(read_image(firmwares(compiler).elf))
    assert struct.unpack("<I", head[-4:]) == (remainder(head[:-4]),)


def test_sealing_again_changes_nothing_and_any_other_bit_another_checksum(firmwares, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    sealed = firmwares("gcc").elf.read_bytes()
    at = sealed.index(head_of(read_image(firmwares("gcc").elf)))
    copy = tmp_path / "copy.elf"
    copy.write_bytes(sealed)
    seal(copy, load_board("pico"))
    assert copy.read_bytes() == sealed
    changed = bytearray(sealed)
    changed[at + 100] ^= 1
    copy.write_bytes(changed)
    seal(copy, load_board("pico"))
    difference = [index for index, pair in enumerate(zip(sealed, copy.read_bytes(), strict=True)) if len({*pair}) > 1]
    assert difference[0] == at + 100 and {*difference[1:]} <= {*range(at + HEAD_BYTES - 4, at + HEAD_BYTES)}
    assert len(difference) > 1


# --- what runs ----------------------------------------------------------------------------------------------------


@every_compiler
def test_the_words_of_the_table_are_shifts_sums_moves_and_comparisons(compiler: str, firmwares) -> None:  # type: ignore[no-untyped-def]
    firmware = firmwares(compiler)
    image = read_image(firmware.elf)
    stack, reset, *others = struct.unpack_from(f"<{TABLE_WORDS}I", head_of(image))
    assert stack == image.symbols["_stack_top"]
    assert reset == image.symbols["Reset_Handler"] and {*others} == {image.symbols["Fault_Handler"]}
    for halfword in struct.unpack_from(f"<{TABLE_WORDS * 2}H", head_of(image)):
        assert halfword >> 14 == 0, hex(halfword)  # Armv6-M A5.2: opcodes 00xxxx, none of which is undefined


class Rom:
    """Flash as the ROM leaves it: its first bytes in SRAM, nothing to be read in its place until the SSI is on."""

    def __init__(self, image: Image, board: Board) -> None:
        import unicorn

        self.image = image
        self.writes: list[tuple[int, int]] = []
        self.read: list[tuple[bool, int]] = []  # of flash: whether it could be, which address
        self.enabled = False
        self.core = make_core(board)
        engine = self.core.engine
        engine.mem_map(board.flash.origin, board.flash.size_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        # only the page of the copy: a use of other RAM, such as the stack, stops the engine
        engine.mem_map(LOADED_AT & -PAGE_BYTES, PAGE_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        engine.mem_map(SYSTEM_CONTROL, PAGE_BYTES)
        engine.mmio_map(SSI, PAGE_BYTES, None, None, self._write, None)
        engine.hook_add(unicorn.UC_HOOK_MEM_READ, self._read, None, FLASH, FLASH + board.flash.size_bytes - 1)
        engine.mem_write(LOADED_AT, head_of(image))

    def start(self) -> None:
        """As the ROM calls it: lr is 0, the other registers and the stack are the ROM's own."""
        for register in ("a0", "a1", "a2", "a3", "sp"):
            self.core.write(register, 0xDEAD_BEE0)
        self.core.write("link", 0)
        self.core.engine.emu_start(LOADED_AT | 1, self.image.symbol("Reset_Handler"), count=1000)

    def _read(self, _engine: object, _access: int, address: int, *_: object) -> None:
        self.read.append((self.enabled, address))

    def _write(self, engine, offset: int, size: int, value: int, _user: object) -> None:  # type: ignore[no-untyped-def]
        assert size == 4
        self.writes.append((offset, value))
        if (offset, value) == (0x08, 1):
            self.enabled = True
            for address, data in self.image.segments:
                engine.mem_write(address, data)


@every_compiler
def test_the_rom_starts_it_and_it_arrives_at_the_reset_handler(compiler: str, firmwares) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("unicorn", reason="unicorn is missing: pip install unicorn")
    firmware = firmwares(compiler)
    rom = Rom(read_image(firmware.elf), firmware.board)
    rom.start()
    assert rom.read == [(True, FLASH), (True, FLASH + 4)]
    assert rom.writes == [(offset, value) for _, offset, value in SSI_WRITES]
    assert rom.core.read("pc") == rom.image.symbol("Reset_Handler")
    assert rom.core.read("sp") == rom.image.symbols["_stack_top"]
    assert int.from_bytes(rom.core.engine.mem_read(VTOR, 4), "little") == FLASH


def test_the_console_keeps_what_the_rom_has_released(firmwares) -> None:  # type: ignore[no-untyped-def]
    """The ROM takes the flash's pins and pads and the timer out of reset, and leaves the clocks as reset does."""
    pytest.importorskip("unicorn", reason="unicorn is missing: pip install unicorn")
    io_qspi, timer, pads_qspi = 1 << 6, 1 << 21, 1 << 9
    of_the_rom = io_qspi | timer | pads_qspi
    session = UnicornSelfTest(firmwares("gcc"))
    session.peripherals.registers.update(RESET_VALUES["pico"])
    session.peripherals.registers[0x4000_C000] &= ~of_the_rom
    assert session.run(60.0).passed
    resets = [write.value for write in session.peripherals.writes if write.address == 0x4000_C000]
    assert resets == [0x01BF_FEDF & ~of_the_rom]
    assert not [hex(w.address) for w in session.peripherals.writes if SSI <= w.address < SSI + PAGE_BYTES]


@pytest.mark.parametrize("at", [4 * 3 + 1, 4 * 0 + 3], ids=["handler", "stack"])
def test_a_table_that_would_do_something_is_refused(at: int, firmwares, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = bytearray(firmwares("gcc").elf.read_bytes())
    data[data.index(head_of(read_image(firmwares("gcc").elf))) + at] = 0x60  # a store
    path = tmp_path / "firmware.elf"
    path.write_bytes(data)
    with pytest.raises(ToolError, match=rf"word {at // 4} of the vector table of board pico is 0x\w+.*0x60\w\w is not"):
        seal(path, load_board("pico"))
    assert path.read_bytes() == data


def test_a_file_without_loader_is_refused(tmp_path: Path) -> None:
    board = load_board("nano33")
    firmware = build(board, tmp_path)
    with pytest.raises(ToolError, match="the loader of board nano33 is not behind a vector table of 64 bytes"):
        seal(firmware.elf, board)


# --- where it is --------------------------------------------------------------------------------------------------


def test_only_what_is_flashed_has_a_loader(firmwares, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    firmwares("gcc")  # skips without a compiler
    streams = build_firmware(toy.FILES, toy.NAME, load_board("pico"), Build.RELEASE, tmp_path)
    assert "tinygen_boot" not in read_image(streams.elf).symbols
    assert "boot" in linker_script(load_board("pico"), Platform.SELF_TEST)
    for name, platform in (("pico", Platform.BOARD), ("nano33", Platform.SELF_TEST)):
        assert "boot" not in linker_script(load_board(name), platform)


def test_a_board_file_of_the_users_decides(firmwares, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    firmwares("gcc")
    plain = build(load_board(mine(tmp_path, ('boot = "rp2040"\n', ""))), tmp_path / "plain")
    assert "tinygen_boot" not in read_image(plain.elf).symbols
    text = ("clock_hz = 125_000_000\n", "clock_hz = 125_000_000\nstack_bytes = 0x3FF0\n")
    largest = build(load_board(mine(tmp_path, text)), tmp_path / "largest")
    assert struct.unpack_from("<I", head_of(read_image(largest.elf))) == (0x2000_3FF0,)
    assert run_selftest(largest, "unicorn", timeout_s=60.0).passed


def test_no_firmware_enables_an_interrupt() -> None:
    """Their vectors, from byte 64 on, are the loader."""
    firmware = ROOT / "firmware"
    sources = [path.read_text(encoding="utf-8") for path in (*firmware.glob("*.c"), *firmware.glob("*.S"))]
    nvic_iser = r"0xe000e1[0-7]\w"
    assert not [text for text in sources if re.search(nvic_iser, text, flags=re.IGNORECASE)]
