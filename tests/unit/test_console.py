"""Console drivers write what the reference manuals ask for, in order, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.emulation import toy
from tinygen.board_code import NRF_UART_BAUDRATES, NRF_UARTE_BAUDRATES, board_header
from tinygen.boards import UartFamily, load_board
from tinygen.emulate.console import UARTS, Peripherals, RegisterError
from tinygen.emulate.selftest_unicorn import UnicornSelfTest
from tinygen.errors import BoardError, ToolError
from tinygen.resources import resource_path
from tinygen.toolchain import build_selftest, find_toolchain

IN_RAM = -1  # the address of the line that DMA fetches
LINE = b"TINYGEN PASS toy inputs=1 layers=2\r\n"

# Values after reset that are not zero: ST's RM0090, RM0385, RM0432, RM0433 and RM0456; the RP2040's data sheet.
RESET_VALUES = {
    "stm32f4-discovery": {0x4002_3830: 0x0010_0000, 0x4002_0000: 0xA800_0000},
    "stm32f746-discovery": {0x4002_3830: 0x0010_0000, 0x4002_0000: 0xA800_0000, 0x4002_0400: 0x0000_0280},
    "nucleo-l4r5zi": {0x4002_1058: 0x0000_0400, 0x4800_1800: 0xFFFF_FFFF},
    "nucleo-h743zi": {0x5802_480C: 0x0000_0006, 0x5802_0C00: 0xFFFF_FFFF},
    "nucleo-u575zi": {0x4602_0C8C: 0xC000_0000, 0x4202_0000: 0xABFF_FFFF},
    "pico": {0x4000_C000: 0x01FF_FFFF, 0x4001_4004: 0x1F, 0x4001_400C: 0x1F},
    "esp32c3": {0x6000_8090: 0x8001_3214, 0x6001_F048: 0x8004_C000},
}

# Every write from reset to the first byte of the first line: register, address, value.
WRITES = {
    "nano33": [
        ("CLOCK_TASKS_HFCLKSTART", 0x4000_0000, 1),
        ("P1_OUT", 0x5000_0804, 1 << 3),
        ("P1_DIR", 0x5000_0814, 1 << 3),
        ("ENABLE", 0x4000_2500, 0),
        ("PSEL.TXD", 0x4000_250C, 1 << 5 | 3),
        ("BAUDRATE", 0x4000_2524, 0x01D6_0000),
        ("CONFIG", 0x4000_256C, 0),
        ("ENABLE", 0x4000_2500, 8),
        ("EVENTS_ENDTX", 0x4000_2120, 0),
        ("TXD.PTR", 0x4000_2544, IN_RAM),
        ("TXD.MAXCNT", 0x4000_2548, len(LINE)),
        ("TASKS_STARTTX", 0x4000_2008, 1),
    ],
    "microbit": [
        ("CLOCK_TASKS_HFCLKSTART", 0x4000_0000, 1),
        ("GPIO_OUT", 0x5000_0504, 1 << 24),
        ("GPIO_DIR", 0x5000_0514, 1 << 24),
        ("ENABLE", 0x4000_2500, 0),
        ("PSELTXD", 0x4000_250C, 24),
        ("BAUDRATE", 0x4000_2524, 0x01D7_E000),
        ("CONFIG", 0x4000_256C, 0),
        ("ENABLE", 0x4000_2500, 4),
        ("TASKS_STARTTX", 0x4000_2008, 1),
        ("EVENTS_TXDRDY", 0x4000_211C, 0),
        ("TXD", 0x4000_251C, ord("T")),
    ],
    "stm32f4-discovery": [
        ("RCC_AHB1ENR", 0x4002_3830, 0x0010_0001),
        ("RCC_APB1ENR", 0x4002_3840, 1 << 17),
        ("GPIOA_MODER", 0x4002_0000, 0xA800_00A0),
        ("GPIOA_AFRL", 0x4002_0020, 0x7700),
        ("USART_CR1", 0x4000_440C, 0),
        ("USART_BRR", 0x4000_4408, 139),  # 16 MHz / 115200
        ("USART_CR1", 0x4000_440C, 1 << 13 | 1 << 3),
        ("USART_DR", 0x4000_4404, ord("T")),
    ],
    "stm32f746-discovery": [
        ("RCC_AHB1ENR", 0x4002_3830, 0x0010_0003),
        ("RCC_APB2ENR", 0x4002_3844, 1 << 4),
        ("GPIOA_MODER", 0x4002_0000, 0xA808_0000),
        ("GPIOA_AFRH", 0x4002_0024, 0x70),
        ("GPIOB_MODER", 0x4002_0400, 0x8280),
        ("GPIOB_AFRL", 0x4002_0420, 0x7000_0000),
        ("USART_CR1", 0x4001_1000, 0),
        ("USART_BRR", 0x4001_100C, 139),  # 16 MHz / 115200
        ("USART_CR1", 0x4001_1000, 9),
        ("USART_TDR", 0x4001_1028, ord("T")),
    ],
    "nucleo-l4r5zi": [
        ("RCC_APB1ENR1", 0x4002_1058, 0x1000_0400),
        ("PWR_CR2", 0x4000_7004, 1 << 9),  # VDDIO2 before anything of port G
        ("RCC_AHB2ENR", 0x4002_104C, 1 << 6),
        ("RCC_APB1ENR2", 0x4002_105C, 1),
        ("GPIOG_MODER", 0x4800_1800, 0xFFFE_BFFF),
        ("GPIOG_AFRL", 0x4800_1820, 0x8000_0000),
        ("GPIOG_AFRH", 0x4800_1824, 8),
        ("USART_CR1", 0x4000_8000, 0),
        ("USART_BRR", 0x4000_800C, 8889),  # 256 * 4 MHz / 115200
        ("USART_CR1", 0x4000_8000, 9),
        ("USART_TDR", 0x4000_8028, ord("T")),
    ],
    "nucleo-h743zi": [
        ("PWR_CR3", 0x5802_480C, 6),  # at reset; the chip ignores it the second time
        ("PWR_CR3", 0x5802_480C, 6),
        ("RCC_AHB4ENR", 0x5802_44E0, 1 << 3),
        ("RCC_APB1LENR", 0x5802_44E8, 1 << 18),
        ("GPIOD_MODER", 0x5802_0C00, 0xFFFA_FFFF),
        ("GPIOD_AFRH", 0x5802_0C24, 0x77),
        ("USART_CR1", 0x4000_4800, 0),
        ("USART_BRR", 0x4000_480C, 556),  # 64 MHz / 115200
        ("USART_CR1", 0x4000_4800, 9),
        ("USART_TDR", 0x4000_4828, ord("T")),
    ],
    "nucleo-u575zi": [
        ("RCC_AHB2ENR1", 0x4602_0C8C, 0xC000_0001),
        ("RCC_APB2ENR", 0x4602_0CA4, 1 << 14),
        ("GPIOA_MODER", 0x4202_0000, 0xABEB_FFFF),
        ("GPIOA_AFRH", 0x4202_0024, 0x770),
        ("USART_CR1", 0x4001_3800, 0),
        ("USART_BRR", 0x4001_380C, 35),  # 4 MHz / 115200
        ("USART_CR1", 0x4001_3800, 9),
        ("USART_TDR", 0x4001_3828, ord("T")),
    ],
    "pico": [
        ("XOSC_CTRL", 0x4002_4000, 0x00FA_BAA0),
        ("CLK_REF_CTRL", 0x4000_8030, 2),
        ("CLK_PERI_CTRL", 0x4000_8048, 1 << 11 | 4 << 5),
        ("RESETS_RESET", 0x4000_C000, 0x01BF_FEDF),
        ("GPIO0_CTRL", 0x4001_4004, 2),
        ("GPIO1_CTRL", 0x4001_400C, 2),
        ("UARTCR", 0x4003_4030, 0),
        ("UARTIBRD", 0x4003_4024, 6),  # 12 MHz / 16 / 115200 = 6 + 33/64
        ("UARTFBRD", 0x4003_4028, 33),
        ("UARTLCR_H", 0x4003_402C, 0x70),
        ("UARTCR", 0x4003_4030, 0x101),
        ("UARTDR", 0x4003_4000, ord("T")),
    ],
    "esp32c3": [
        ("RTC_CNTL_WDTWPROTECT", 0x6000_80A8, 0x50D8_3AA1),
        ("RTC_CNTL_WDTCONFIG0", 0x6000_8090, 0),
        ("RTC_CNTL_WDTWPROTECT", 0x6000_80A8, 0),
        ("RTC_CNTL_SWD_WPROTECT", 0x6000_80B0, 0x8F1D_312A),
        ("RTC_CNTL_SWD_CONF", 0x6000_80AC, 1 << 31),
        ("RTC_CNTL_SWD_WPROTECT", 0x6000_80B0, 0),
        ("TIMG0_WDTWPROTECT", 0x6001_F064, 0x50D8_3AA1),
        ("TIMG0_WDTCONFIG0", 0x6001_F048, 0),
        ("TIMG0_WDTWPROTECT", 0x6001_F064, 0),
        ("UART_FIFO", 0x6000_0000, ord("T")),
    ],
    "riscv-virt": [
        ("IER/DLM", 0x1000_0001, 0),
        ("LCR", 0x1000_0003, 0x80),
        ("THR/DLL", 0x1000_0000, 2),  # 3.6864 MHz / 16 / 115200
        ("IER/DLM", 0x1000_0001, 0),
        ("LCR", 0x1000_0003, 3),
        ("FCR", 0x1000_0002, 1),
        ("THR/DLL", 0x1000_0000, ord("T")),
    ],
    "mps2-an505": [
        ("CTRL", 0x5020_0008, 0),
        ("BAUDDIV", 0x5020_0010, 174),  # 20 MHz / 115200
        ("CTRL", 0x5020_0008, 1),
        ("DATA", 0x5020_0000, ord("T")),
    ],
}


def on_unicorn(
    name: str, directory: Path, files: dict[str, str] | None = None, compiler: str = "gcc"
) -> UnicornSelfTest:
    """The toy's self-test at reset, with the chip's values after reset; or a skip that says what to install."""
    pytest.importorskip("unicorn", reason="unicorn is missing: pip install unicorn")
    try:
        board = load_board(name)
        toolchain = find_toolchain(board.target, prefer=compiler)
        firmware = build_selftest(files or toy.selftest_files(), toy.NAME, board, directory, toolchain=toolchain)
    except ToolError as error:
        pytest.skip(str(error))
    session = UnicornSelfTest(firmware)
    session.peripherals.registers.update(RESET_VALUES.get(name, {}))
    return session


@pytest.mark.parametrize("name", WRITES)
def test_every_register_is_written_as_the_manual_asks_and_in_its_order(name: str, tmp_path: Path) -> None:
    session = on_unicorn(name, tmp_path)
    assert session.run(60.0).lines == (LINE.decode().strip(),)
    board, uart = session.firmware.board, session.peripherals.uart
    assert uart is not None
    names = {step.address: step.why.partition(":")[0] for step in board.console.setup}
    names |= {board.console.base + offset: text for offset, text in uart.NAMES.items()}
    writes = session.peripherals.writes
    shown = [(names[w.address], w.address, w.value) for w in writes[: len(WRITES[name])]]
    for position, (register, address, value) in enumerate(WRITES[name]):
        if value == IN_RAM:
            assert board.ram.origin <= shown[position][2] < board.ram.end
            shown[position] = (register, address, IN_RAM)
    assert shown == WRITES[name]
    assert {w.size_bytes for w in writes if w.address - board.console.base in uart.NAMES} == {uart.SIZE_BYTES}
    assert {w.size_bytes for w in writes if w.address - board.console.base not in uart.NAMES} <= {4}


def test_every_family_with_a_board_has_its_list() -> None:
    shown = {load_board(name).console.uart for name in WRITES}
    assert shown == set(UARTS) == set(UartFamily) - {UartFamily.SEMIHOSTING}


@pytest.mark.parametrize("family", UartFamily)
def test_every_family_has_a_driver(family: UartFamily) -> None:
    source = (resource_path("firmware") / f"console_{family.value}.c").read_text(encoding="utf-8")
    for function in ("console_open", "console_write", "console_close"):
        assert f"void {function}(" in source


def test_the_byte_that_follows_a_long_line_is_sent_too(tmp_path: Path) -> None:
    """The UARTE's buffer is 128 bytes; a line of 160 goes in two transfers."""
    files = toy.selftest_files()
    text = "TINYGEN FAIL toy " + "x" * 140
    files["toy_selftest.c"] = toy.SELFTEST_SOURCE.replace("TINYGEN PASS toy inputs=1 layers=2", text)
    session = on_unicorn("nano33", tmp_path, files)
    assert session.run(60.0).lines == (text,)
    lengths = [w.value for w in session.peripherals.writes if w.address == 0x4000_2548]
    assert lengths == [128, len(text) + 2 - 128]


def test_a_wait_that_never_ends_does_not_silence_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = on_unicorn("nano33", tmp_path)
    read = Peripherals.read
    polls: list[int] = []

    def without_crystal(peripherals: Peripherals, address: int, size_bytes: int) -> int:
        polls.append(address)
        started = 0x4000_0100
        return 0 if address == started else read(peripherals, address, size_bytes)

    monkeypatch.setattr(Peripherals, "read", without_crystal)
    assert session.run(60.0).passed
    assert polls.count(0x4000_0100) == 100_000


def test_a_transmitter_that_never_acknowledges_does_not_silence_the_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = on_unicorn("nucleo-l4r5zi", tmp_path)
    read = Peripherals.read
    isr, polls = 0x4000_801C, []

    def without_teack(peripherals: Peripherals, address: int, size_bytes: int) -> int:
        value = read(peripherals, address, size_bytes)
        if address == isr and not peripherals.sent:
            polls.append(value)
        return value & ~(1 << 21) if address == isr else value

    monkeypatch.setattr(Peripherals, "read", without_teack)
    assert session.run(60.0).passed
    assert len(polls) >= 100_000


def test_the_last_byte_has_left_a_uart_that_does_not_tell_when_it_halts(tmp_path: Path) -> None:
    """Arm's CMSDK UART: the core goes on for the ten bits of a byte, 174 clocks each, after its last look at STATE."""
    session = on_unicorn("mps2-an505", tmp_path)
    instructions = [0]
    read = session.peripherals.read

    def note(address: int, size_bytes: int) -> int:
        instructions[0] = 0
        return read(address, size_bytes)

    session.peripherals = SimpleNamespace(read=note, write=session.peripherals.write, sent=session.peripherals.sent)  # type: ignore[assignment]

    def count(*_: object) -> None:
        instructions[0] += 1

    import unicorn

    session.engine.hook_add(unicorn.UC_HOOK_CODE, count)
    assert session.run(60.0).passed
    assert instructions[0] > 10 * 174


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_an_stm32h7_has_its_supply_before_anything_is_written_to_ram(compiler: str, tmp_path: Path) -> None:
    """RM0433: until PWR_CSR1.ACTVOSRDY, which follows the write to PWR_CR3, the core must not write RAM."""
    session = on_unicorn("nucleo-h743zi", tmp_path, compiler=compiler)
    ready, reads, early = 0x5802_4804, [], []
    read = Peripherals.read

    def note(peripherals: Peripherals, address: int, size_bytes: int) -> int:
        reads.append(address)
        return read(peripherals, address, size_bytes)

    def on_write(_engine: object, _access: int, address: int, *_: object) -> None:
        if ready not in reads:
            early.append(address)

    import unicorn

    ram = session.firmware.board.ram
    session.engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, on_write, None, ram.origin, ram.end - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Peripherals, "read", note)
        assert session.run(60.0).passed
    assert ready in reads and not early
    assert next(w.address for w in session.peripherals.writes) == 0x5802_480C


# --- the models' own strictness -----------------------------------------------------------------------------------


# A write to the UART without which a real one stays silent.
NEEDED = [
    ("nano33", "BAUDRATE", 0x01D6_0000),
    ("nano33", "ENABLE", 8),
    ("nano33", "TASKS_STARTTX", 1),
    ("microbit", "BAUDRATE", 0x01D7_E000),
    ("microbit", "ENABLE", 4),
    ("microbit", "TASKS_STARTTX", 1),
    ("stm32f4-discovery", "USART_BRR", 139),
    ("stm32f4-discovery", "USART_CR1", 0x2008),
    ("nucleo-l4r5zi", "USART_BRR", 8889),
    ("nucleo-l4r5zi", "USART_CR1", 9),
    ("pico", "UARTIBRD", 6),
    ("pico", "UARTLCR_H", 0x70),
    ("pico", "UARTCR", 0x101),
    ("riscv-virt", "THR/DLL", 2),
    ("riscv-virt", "LCR", 3),
    ("mps2-an505", "BAUDDIV", 174),
    ("mps2-an505", "CTRL", 1),
]


def replay(name: str, without: tuple[str, int] | None) -> bytes:
    """What the board's UART sends when the driver's writes come, all but one."""
    board = load_board(name)
    peripherals = Peripherals(board, lambda at, n: LINE[:n])
    assert peripherals.uart
    for register, address, value in WRITES[name]:
        if board.console.base <= address < board.console.base + 0x1000 and (register, value) != without:
            peripherals.write(address, peripherals.uart.SIZE_BYTES, value & 0xFFFF_FFFF)
    return bytes(peripherals.sent)


@pytest.mark.parametrize(("name", "register", "value"), NEEDED)
def test_a_model_sends_nothing_when_a_needed_write_is_missing(name: str, register: str, value: int) -> None:
    assert replay(name, None)[:1] == b"T"
    assert replay(name, (register, value)) == b""


def test_the_baud_rate_of_an_stm32_is_locked_while_it_runs() -> None:
    peripherals = Peripherals(load_board("nucleo-l4r5zi"), lambda at, n: b"")
    for offset, value in ((0x00, 9), (0x0C, 8889), (0x28, ord("T"))):
        peripherals.write(0x4000_8000 + offset, 4, value)
    assert peripherals.read(0x4000_800C, 4) == 0 and peripherals.sent == b""


@pytest.mark.parametrize("name", WRITES)
def test_an_unknown_register_is_an_error(name: str) -> None:
    peripherals = Peripherals(load_board(name), lambda at, n: b"")
    base = load_board(name).console.base
    with pytest.raises(RegisterError, match=f"write of 4 bytes at 0x{base + 0xF00:08x}, which is no register"):
        peripherals.write(base + 0xF00, 4, 1)
    with pytest.raises(RegisterError, match="read of 2 bytes"):
        peripherals.read(base, 2)


# --- tinygen_board.h ------------------------------------------------------------------------------------------------

SOUND = """\
title = "Mine"
chip = "none"
target = "cortex-m4f"
clock_hz = 64_000_000
memories = [
    { name = "flash", kind = "flash", origin = 0x1000_0000, size_bytes = 0x10_0000 },
    { name = "ram", kind = "ram", origin = 0x2000_0000, size_bytes = 0x1_0000 },
]

[console]
"""


def header_of(console: str, folder: Path) -> str:
    path = folder / "mine.toml"
    path.write_text(SOUND + console, encoding="utf-8")
    return board_header(load_board(str(path)))


def test_the_header_tells_all_that_drivers_need(tmp_path: Path) -> None:
    text = header_of(
        'uart = "stm32_v2"\nbase = 0x4000_8000\nclock_hz = 4_000_000\nlow_power = true\n'
        'setup = [{ address = 4, clear = 1, set = 2, why = "A: x" }, { address = 8, wait_set = 3, why = "B" }]\n',
        tmp_path,
    )
    assert text == (
        "#ifndef TINYGEN_BOARD_H\n#define TINYGEN_BOARD_H\n\n"
        "#define TINYGEN_CONSOLE_BASE 0x40008000u\n#define TINYGEN_CONSOLE_CLOCK_HZ 4000000u\n"
        "#define TINYGEN_CONSOLE_BAUD 115200u\n#define TINYGEN_CONSOLE_LOW_POWER 1\n#define TINYGEN_CONSOLE_STEPS 2\n\n"
        "/* address, bits to clear, bits to set, bits to wait for */\n#define TINYGEN_CONSOLE_SETUP { \\\n"
        "    {0x00000004u, 0x00000001u, 0x00000002u, 0x00000000u}, /* A: x */ \\\n"
        "    {0x00000008u, 0x00000000u, 0x00000000u, 0x00000003u}, /* B */ \\\n}\n\n#endif\n"
    )


def test_the_header_tells_which_steps_come_before_ram(tmp_path: Path) -> None:
    step = '{{ address = {}, {}, why = "x" }}'
    text = header_of(
        'uart = "cmsdk"\nbase = 0x4000_4000\nclock_hz = 25_000_000\n'
        f"setup = [{step.format(4, 'set = 1, before_ram = true')}, {step.format(8, 'set = 2')}]\n",
        tmp_path,
    )
    assert text.endswith(
        "#define TINYGEN_BEFORE_RAM(step) \\\n"
        "    step(0x00000004u, 0x00000000u, 0x00000001u, 0x00000000u); \\\n\n\n#endif\n"
    )


def test_a_reason_cannot_leave_its_comment(tmp_path: Path) -> None:
    text = header_of(
        'uart = "cmsdk"\nbase = 0x4000_4000\nclock_hz = 25_000_000\n'
        "setup = [{ address = 4, set = 1, why = '*/ } /* \\\\\\n \"?' }]\n",
        tmp_path,
    )
    assert text.count("*/") == 2
    assert "/* __ _ __ ___n __ */ \\" in text


@pytest.mark.parametrize(
    ("console", "sentence"),
    [
        (
            'uart = "nrf_uarte"\nbase = 4\ntx_pin = 1\nbaud = 115201\n',
            "console.baud is 115201; its UART knows 9600, 19",
        ),
        ('uart = "nrf_uart"\nbase = 4\ntx_pin = 1\nbaud = 300\n', "console.baud is 300; its UART knows 9600, 19"),
        ('uart = "esp"\nbase = 4\nclock_hz = 80_000_000\nbaud = 9600\n', "the ESP32 family's boot ROM sets 115200"),
        ('uart = "stm32_v1"\nbase = 4\nclock_hz = 1_000_000\n', "the divisor would be 9, and it can be 16 to 65535."),
        ('uart = "stm32_v2"\nbase = 4\nclock_hz = 200_000\nlow_power = true\n', "it can be 768 to 1048575."),
        ('uart = "cmsdk"\nbase = 4\nclock_hz = 1_000_000\n', "the divisor would be 9, and it can be 16 to 1048575."),
        ('uart = "pl011"\nbase = 4\nclock_hz = 1_000_000\n', "the divisor would be 35, and it can be 64 to 4194240."),
        ('uart = "ns16550"\nbase = 4\nclock_hz = 500_000\n', "the divisor would be 0, and it can be 1 to 65535."),
    ],
)
def test_a_baud_rate_that_cannot_be_made_is_refused(console: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BoardError) as caught:
        header_of(console, tmp_path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("board mine: ")


@pytest.mark.parametrize("table", [NRF_UART_BAUDRATES, NRF_UARTE_BAUDRATES], ids=["uart", "uarte"])
def test_nordics_baud_rates_are_what_their_names_say(table: dict[int, int]) -> None:
    for baud, register in table.items():
        assert abs(register * 16e6 / 2**32 / baud - 1) < 0.022, baud
