"""ESP32 and ESP32-S3 as themselves: windowed code runs in QEMU, and the chips' firmware lies in the chips' memories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulation import toy
from tests.golden.models import classifier, float_edges
from tests.support.paths import EXAMPLES, shared_model
from tinygen.boards import Board, load_board
from tinygen.compile import Compiled, Options, compile_model
from tinygen.emulate import Run, find_emulator, run_selftest
from tinygen.emulate.renode import hook_commands
from tinygen.emulate.symbols import read_image
from tinygen.errors import DoesNotFitError, EmulatorError, ToolError
from tinygen.targets import WINDOWED
from tinygen.tflite import read
from tinygen.toolchain import (
    Build,
    Firmware,
    Platform,
    Toolchain,
    build_firmware,
    build_selftest,
    find_toolchain,
    measure,
)
from tinygen.toolchain.elf import ALLOC, EXECUTE, WRITE, open_elf
from tinygen.toolchain.firmware import compile_objects, link
from tinygen.toolchain.linker import layout
from tinygen.toolchain.platforms import start_sources
from tinygen.validate.run import validate
from tinygen.validate.vectors import make_vectors, selftest_sources

CHIPS = ("esp32", "esp32s3")


def windowed(board: Board) -> Toolchain:
    """A compiler that makes the chip's own code, or a skip that says how to get one."""
    for family in (family for family in board.target.families if family in WINDOWED):
        try:
            return find_toolchain(board.target, prefer=family.value)
        except ToolError as error:
            missing = str(error)
    pytest.skip(missing)


def build(
    name: str, directory: Path, statement: str = "", helper: str = "", kind: Build = Build.VALIDATION
) -> Firmware:
    board = load_board(name)
    files = toy.broken(statement, helper)
    return build_firmware(files, toy.NAME, board, kind, directory / "a b", toolchain=windowed(board))


def run(firmware: Firmware, timeout_s: float = 60.0) -> Run:
    try:
        return find_emulator(firmware.board, "qemu").run(firmware, toy.job(timeout_s=timeout_s))
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def chip(request: pytest.FixtureRequest) -> Board:
    board = load_board(request.param)
    windowed(board)
    return board


every_chip = pytest.mark.parametrize("chip", CHIPS, indirect=True)


# --- right values ---------------------------------------------------------------------------------------------------


def assert_equal(model: Path, board: Board, inputs: int) -> None:
    compiled = compile_model(read(str(model)), board, Options())
    try:
        comparison = validate(compiled, emulator="qemu", inputs=inputs)
    except ToolError as error:
        pytest.skip(str(error))
    assert comparison.equal, comparison.first_difference
    assert "windowed ABI" in comparison.notes[0]
    assert comparison.stack_bytes and 0 < comparison.stack_bytes < board.stack_bytes
    bound = measure(compiled.sources.files, compiled.sources.name, board.target, windowed(board)).stack_bytes
    assert bound and comparison.stack_bytes <= bound


@every_chip
@pytest.mark.parametrize("model", EXAMPLES, ids=lambda path: path.stem)
def test_every_tensor_of_the_examples_is_equal(model: Path, chip: Board) -> None:
    assert_equal(model, chip, 4)


@every_chip
def test_every_tensor_of_a_published_model_is_equal(chip: Board) -> None:
    assert_equal(shared_model("mlperf_kws"), chip, 2)


@every_chip
def test_floats_are_computed_by_the_cores_own_unit_and_divided_as_ieee_says(chip: Board, tmp_path: Path) -> None:
    (tmp_path / "float_edges.tflite").write_bytes(float_edges())
    assert_equal(tmp_path / "float_edges.tflite", chip, 16)


@pytest.mark.parametrize("kind", Build)
@pytest.mark.parametrize("name", CHIPS)
def test_the_toy_is_right_in_both_builds(name: str, kind: Build, tmp_path: Path) -> None:
    for inputs, inference in zip(toy.job().inputs, run(build(name, tmp_path, kind=kind)).inferences, strict=True):
        assert inference.outputs == (toy.expected(inputs[0])[1],)


def test_the_small_core_runs_what_its_compiler_makes_where_there_is_no_other(tmp_path: Path) -> None:
    board = load_board("esp32")
    try:
        toolchain = find_toolchain(board.target, prefer="xtensa-lx106-elf-gcc")
    except ToolError as missing:
        pytest.skip(str(missing))
    firmware = build_firmware(toy.FILES, toy.NAME, board, Build.RELEASE, tmp_path, toolchain=toolchain)
    assert firmware.platform is Platform.XTENSA_SIM
    result = run(firmware)
    assert [i.outputs[0] for i in result.inferences] == [toy.expected(inputs[0])[1] for inputs in toy.job().inputs]
    assert "LX106" in result.notes[0]


# --- register windows -----------------------------------------------------------------------------------------------

# Two functions that call each other, with values that live across the call; 16 frames fill the registers.
RECURSION = """
static __attribute__((noinline)) uint32_t odd(uint32_t n, uint32_t x);
static __attribute__((noinline)) uint32_t even(uint32_t n, uint32_t x)
{
    const uint32_t kept = x * 2654435761u + n;
    return n == 0u ? kept : (odd(n - 1u, kept ^ x) ^ kept) + 3u * x;
}
static __attribute__((noinline)) uint32_t odd(uint32_t n, uint32_t x)
{
    const uint32_t kept = x + 40503u * n;
    return n == 0u ? kept : even(n - 1u, kept + 7u) + (kept >> 3) - x;
}
"""
# Nine arguments: LLVM makes room for the last three by movsp, at every depth.
MANY_ARGUMENTS = """
static __attribute__((noinline)) uint32_t many(uint32_t n, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e,
                                               uint32_t f, uint32_t g, uint32_t h)
{
    const uint32_t sum = a + 3u * b + 5u * c + 7u * d + 11u * e + 13u * f + 17u * g + 19u * h;
    return n == 0u ? sum : many(n - 1u, b, c, d, e, f, g, h, sum) ^ sum;
}
"""
# An array of variable length at every depth: the stack pointer moves by movsp, here with every compiler.
VARIABLE_ARRAY = """
static __attribute__((noinline)) uint32_t vary(uint32_t n, uint32_t x)
{
    volatile uint8_t array[n + 1u];
    array[n] = (uint8_t)x;
    const uint32_t below = n == 0u ? 1u : vary(n - 1u, x * 5u + 1u);
    return below * 33u + array[n];
}
"""
WORD = 0xFFFFFFFF


def even(n: int, x: int) -> int:
    kept = (x * 2654435761 + n) & WORD
    return kept if n == 0 else ((odd(n - 1, kept ^ x) ^ kept) + 3 * x) & WORD


def odd(n: int, x: int) -> int:
    kept = (x + 40503 * n) & WORD
    return kept if n == 0 else (even(n - 1, (kept + 7) & WORD) + (kept >> 3) - x) & WORD


def many(n: int, *rest: int) -> int:
    total = sum(factor * value for factor, value in zip((1, 3, 5, 7, 11, 13, 17, 19), rest, strict=True)) & WORD
    return total if n == 0 else many(n - 1, *rest[1:], total) ^ total


def vary(n: int, x: int) -> int:
    below = 1 if n == 0 else vary(n - 1, (x * 5 + 1) & WORD)
    return (below * 33 + (x & 0xFF)) & WORD


@pytest.mark.parametrize(
    ("call", "helper", "expected"),
    [
        ("even(100u, 9u)", RECURSION, even(100, 9)),
        ("odd(3u, 5u)", RECURSION, odd(3, 5)),
        ("many(40u, 1, 2, 3, 4, 5, 6, 7, 8)", MANY_ARGUMENTS, many(40, 1, 2, 3, 4, 5, 6, 7, 8)),
        ("vary(40u, 77u)", VARIABLE_ARRAY, vary(40, 77)),
    ],
    ids=["deep", "shallow", "arguments on the stack", "arrays of variable length"],
)
@pytest.mark.parametrize("name", CHIPS)
def test_windows_are_spilled_and_refilled(name: str, call: str, helper: str, expected: int, tmp_path: Path) -> None:
    statement = f"const uint32_t w = {call}; memcpy(a + 80, &w, 4);"
    for inference in run(build(name, tmp_path, statement, helper, Build.RELEASE)).inferences:
        assert int.from_bytes(inference.outputs[0], "little") == expected


# --- what only the emulator needs -----------------------------------------------------------------------------------

HIGH_PRODUCTS = """
static __attribute__((noinline)) uint32_t check(void)
{
    static const uint32_t v[] = {0u, 1u, 2u, 3u, 0xffffu, 0x10000u, 0x10001u, 0x7fffffffu, 0x80000000u, 0x80000001u,
                                 0xffff0000u, 0xfffffffeu, 0xffffffffu, 0x12345678u, 0x9abcdef0u, 0x55555555u};
    uint32_t crc = 0;
    for (int32_t i = 0; i < 16; i++) {
        for (int32_t k = 0; k < 16; k++) {
            uint32_t s = 7u, u = 7u;
            __asm__ volatile("mulsh %0, %1, %2" : "=r"(s) : "r"(v[i]), "r"(v[k]));
            __asm__ volatile("muluh %0, %1, %2" : "=r"(u) : "r"(v[i]), "r"(v[k]));
            crc = crc * 31u + s;
            crc = crc * 31u + u;
        }
    }
    return crc;
}
"""
# The trap must go on at the loop's first instruction: three times 3, not once.
IN_A_LOOP = """
static __attribute__((noinline)) uint32_t check(void)
{
    uint32_t n = 3u, total = 0u, high = 5u;
    __asm__ volatile("loop %2, 1f\\n\\taddi %0, %0, 3\\n\\tmuluh %1, %3, %3\\n1:"
                     : "+r"(total), "+r"(high) : "r"(n), "r"(0x80000000u));
    return total + high;
}
"""


def high_products() -> int:
    values = [0, 1, 2, 3, 0xFFFF, 0x10000, 0x10001, 0x7FFFFFFF, 0x80000000, 0x80000001]
    values += [0xFFFF0000, 0xFFFFFFFE, 0xFFFFFFFF, 0x12345678, 0x9ABCDEF0, 0x55555555]
    crc = 0
    for x in values:
        for y in values:
            signed = ((x ^ 1 << 31) - (1 << 31)) * ((y ^ 1 << 31) - (1 << 31)) >> 32
            crc = (crc * 31 + signed) & WORD
            crc = (crc * 31 + (x * y >> 32)) & WORD
    return crc


@pytest.mark.parametrize(
    ("helper", "expected"),
    [(HIGH_PRODUCTS, high_products()), (IN_A_LOOP, 9 + 0x40000000)],
    ids=["extremes", "at the end of a loop"],
)
def test_the_sim_computes_the_high_products_that_its_core_lacks(helper: str, expected: int, tmp_path: Path) -> None:
    firmware = build("esp32", tmp_path, "const uint32_t w = check(); memcpy(a + 80, &w, 4);", helper, Build.RELEASE)
    for inference in run(firmware).inferences:
        assert int.from_bytes(inference.outputs[0], "little") == expected


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "helper", "pattern"),
    [
        ("*(volatile int8_t *)(uintptr_t)toy_weights = 1;", "", r"invalid write.*in function toy_run"),
        (
            'uintptr_t null = (uintptr_t)a; null ^= null; __asm__ volatile("" : "+r"(null)); a[0] = *(int8_t *)null;',
            "",
            r"invalid data access at address 0x00000000 in function toy_run",
        ),
        ("a[1] = (int8_t)even(100000u, 9u);", RECURSION, r"stack overflow in function (even|odd)"),
        ('__asm__ volatile(".byte 0xff, 0xff, 0xff");', "", r"illegal instruction in function toy_run"),
        ("((volatile int8_t *)a)[-64] = 1;", "", r"lowest 64 bytes before"),
    ],
    ids=["write to flash", "null pointer", "stack overflow in a window handler", "illegal instruction", "guard"],
)
@pytest.mark.parametrize("name", CHIPS)
def test_a_fault_is_reported_with_its_place(
    name: str, statement: str, helper: str, pattern: str, tmp_path: Path
) -> None:
    with pytest.raises(EmulatorError, match=pattern):
        run(build(name, tmp_path, statement, helper))


# --- the chip's memories --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    path = tmp_path_factory.mktemp("model") / "classifier.tflite"
    path.write_bytes(classifier())
    return compile_model(read(str(path)), load_board("esp32"), Options())


def selftest(compiled: Compiled, board: Board, directory: Path, platform: Platform) -> Firmware:
    files = {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, 2))}
    return build_selftest(files, "classifier", board, directory, toolchain=windowed(board), platform=platform)


@every_chip
@pytest.mark.parametrize("platform", [Platform.SELF_TEST, Platform.SELF_TEST_SIM], ids=lambda p: p.value)
def test_every_section_lies_in_the_memory_of_its_kind(
    platform: Platform, chip: Board, compiled: Compiled, tmp_path: Path
) -> None:
    firmware = selftest(compiled, chip, tmp_path, platform)
    parts = layout(chip, platform)
    if platform is Platform.SELF_TEST:
        assert set(parts.memories) == set(chip.memories), "the chip's own addresses"
    seen = set()
    with open_elf(firmware.elf) as elf:
        for section in elf.iter_sections():
            flags, size, begin = section["sh_flags"], section["sh_size"], section["sh_addr"]
            if not flags & ALLOC or not size:
                continue
            if flags & WRITE:
                memory = parts.ram
            elif flags & EXECUTE:
                memory = {".vectors": parts.vectors, ".reset": parts.reset}.get(section.name, parts.code)
            else:
                memory = parts.constants
            assert memory.origin <= begin and begin + size <= memory.end, section.name
            seen.add(memory.name)
        loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
        outside = [
            hex(s["p_paddr"])
            for s in loads
            if not any(m.origin <= s["p_paddr"] and s["p_paddr"] + s["p_filesz"] <= m.end for m in parts.memories)
        ]
        vectors = elf.get_section_by_name(".symtab").get_symbol_by_name("tinygen_xtensa_vectors")[0]["st_value"]
    assert seen >= {"flash", "constants", "iram", "ram"} and not outside
    assert vectors % 1024 == 0, "VECBASE has no lower bits"


@every_chip
def test_the_sim_runs_the_very_objects_of_the_chip(chip: Board, compiled: Compiled, tmp_path: Path) -> None:
    own = {
        p.name: p.read_bytes()
        for p in selftest(compiled, chip, tmp_path / "a", Platform.SELF_TEST).elf.parent.glob("*.o")
    }
    sim = {
        p.name: p.read_bytes()
        for p in selftest(compiled, chip, tmp_path / "b", Platform.SELF_TEST_SIM).elf.parent.glob("*.o")
    }
    assert own.keys() - sim.keys() == {"tinygen_console_esp.o"}
    assert sim.keys() - own.keys() == {"tinygen_console_simcall.o", "tinygen_sim_xtensa_windowed.o"}
    assert all(own[name] == sim[name] for name in own.keys() & sim.keys())
    assert not [name for name, data in own.items() if str(tmp_path).encode() in data]


@pytest.mark.parametrize("chip", ["esp32"], indirect=True)
def test_renode_counts_from_the_run_functions_entry_to_its_returns(
    chip: Board, compiled: Compiled, tmp_path: Path
) -> None:
    firmware = selftest(compiled, chip, tmp_path, Platform.SELF_TEST)
    image = read_image(firmware.elf)
    begin, *ends = hook_commands(firmware)
    assert f"AddHook 0x{image.symbol('classifier_run'):X} " in begin and "ExecutedInstructions)" in begin
    assert ends and all(image.function_at(int(end.split()[2], 16)) == "classifier_run" for end in ends)
    assert all("str(self.ExecutedInstructions + 1)" in end for end in ends), "the return itself"


@every_chip
def test_any_sources_link_at_the_chips_addresses(chip: Board, tmp_path: Path) -> None:
    toolchain = windowed(chip)
    (tmp_path / "mine.c").write_text(
        '#include <stdint.h>\n#include "io.h"\nvolatile uint32_t count;\nint main(void);\n'
        "void tinygen_fault(uint32_t cause, uint32_t pc, uint32_t address, uint32_t status, uint32_t stack_pointer)\n"
        "{ count = cause + pc + address + status + stack_pointer; for (;;) { } }\n"
        "int main(void) { count++; return 0; }\n"
    )
    objects = compile_objects(
        chip,
        tmp_path,
        toolchain,
        generated=("mine",),
        sources=start_sources(chip, toolchain, Platform.BOARD),
        define=(),
    )
    with open_elf(link(objects, chip, tmp_path, toolchain, Platform.BOARD)) as elf:
        assert chip.flash.origin <= elf["e_entry"] < chip.flash.end


@pytest.mark.parametrize("platform", [None, Platform.BOARD], ids=["sim", "chip"])
@pytest.mark.parametrize(
    ("name", "statement", "pattern"),
    [
        ("esp32", "uint8_t big[0x30000] = {1}", "its ram of 196608 bytes"),
        ("esp32s3", "uint8_t big[0x50000]", "its ram of 327680 bytes"),
        ("esp32", "const uint8_t big[0x400000] = {1}", "its constants of 4194304 bytes"),
    ],
)
def test_what_does_not_fit_the_chip_does_not_link(
    name: str, statement: str, pattern: str, platform: Platform | None, tmp_path: Path
) -> None:
    board = load_board(name)
    toolchain = windowed(board)
    helper = f"extern {statement.split(' =')[0]};\n{statement};\n"
    files = toy.broken("a[0] = (int8_t)big[a[1] & 127];", helper)
    with pytest.raises(DoesNotFitError, match=rf"board {name}: the firmware needs \d+ bytes more than {pattern}"):
        if platform is None:
            build_firmware(files, toy.NAME, board, Build.RELEASE, tmp_path, toolchain=toolchain)
        else:
            (tmp_path / "toy.h").write_text(files["toy.h"])
            (tmp_path / "toy_weights.c").write_text(files["toy_weights.c"])
            (tmp_path / "toy.c").write_text(
                files["toy.c"] + "void tinygen_fault(void);\nvoid tinygen_fault(void) { }\n"
                "int main(void);\nint main(void) { static uint8_t arena[99]; toy_run(arena); return 0; }\n"
            )
            objects = compile_objects(
                board,
                tmp_path,
                toolchain,
                generated=("toy", "toy_weights"),
                sources=start_sources(board, toolchain, platform),
                define=(),
            )
            link(objects, board, tmp_path, toolchain, platform)


# --- the self-test with vectors inside ------------------------------------------------------------------------------


@every_chip
def test_the_self_test_passes_in_qemu_and_fails_with_the_right_layer(
    chip: Board, compiled: Compiled, tmp_path: Path
) -> None:
    firmware = selftest(compiled, chip, tmp_path, Platform.SELF_TEST_SIM)
    try:
        result = run_selftest(firmware, "qemu", timeout_s=60)
    except ToolError as error:
        pytest.skip(str(error))
    assert result.lines[-1] == "TINYGEN PASS classifier inputs=2 layers=6", result.lines
    with open_elf(firmware.elf) as elf:
        symbols = elf.get_section_by_name(".symtab").iter_symbols()
        weights = next(s["st_value"] for s in symbols if s.name == "classifier_layer_1_weights")
        segment = next(s for s in elf.iter_segments() if s["p_vaddr"] <= weights < s["p_vaddr"] + s["p_filesz"])
        place = weights - segment["p_vaddr"] + segment["p_offset"]
    data = bytearray(firmware.elf.read_bytes())
    data[place] ^= 0x40
    firmware.elf.write_bytes(data)
    result = run_selftest(firmware, "qemu", timeout_s=60)
    assert result.lines[-1].startswith("TINYGEN FAIL classifier inputs=2 layers=6 different=")
    expected = ["constants layer=1 op=DEPTHWISE_CONV_2D array=weights", "input=0 layer=1 op=DEPTHWISE_CONV_2D"]
    for line, what in zip(result.lines, expected, strict=False):
        assert line.startswith(f"TINYGEN DIFFER classifier {what} crc="), result.lines


def test_qemu_says_that_it_is_not_the_chip(compiled: Compiled, tmp_path: Path) -> None:
    board = load_board("esp32")
    firmware = selftest(compiled, board, tmp_path, Platform.SELF_TEST)
    try:
        find_emulator(board, "qemu")
    except ToolError as error:
        pytest.skip(str(error))
    with pytest.raises(
        EmulatorError, match="QEMU has not this chip's memory map; build the self-test for self-test-sim"
    ):
        run_selftest(firmware, "qemu", timeout_s=5)


def test_code_for_the_small_core_is_no_firmware_for_the_chip(compiled: Compiled, tmp_path: Path) -> None:
    board = load_board("esp32")
    try:
        small = find_toolchain(board.target, prefer="xtensa-lx106-elf-gcc")
    except ToolError as error:
        pytest.skip(str(error))
    files = {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, 1))}
    with pytest.raises(ToolError, match=r"no code that runs on esp32 itself\. Install one: ESP-IDF.*clang-22"):
        build_selftest(files, "classifier", board, tmp_path, toolchain=small)
