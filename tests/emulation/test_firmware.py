"""The self-test firmware runs everywhere, gives equal values everywhere, and reports what goes wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from tests.emulation import toy
from tinygen.boards import Board, board_names, load_board
from tinygen.emulate import Run, find_emulator
from tinygen.emulate.counter import PythonCounter, native_library
from tinygen.emulate.symbols import read_image
from tinygen.errors import DoesNotFitError, EmulatorError, ToolError
from tinygen.targets import Architecture, Family
from tinygen.toolchain import Build, Firmware, Platform, build_firmware, find_toolchain

UNICORN_BOARDS = tuple(name for name in board_names() if load_board(name).emulation.unicorn)
QEMU_BOARDS = tuple(name for name in board_names() if load_board(name).emulation.qemu_machine)


def build(
    board: Board,
    directory: Path,
    *,
    files: dict[str, str] = toy.FILES,
    kind: Build = Build.VALIDATION,
    compiler: str | None = None,
    platform: Platform | None = None,
) -> Firmware:
    """A firmware in a folder whose name has a space, or a skip that says what to install."""
    try:
        toolchain = None if platform is Platform.HOST else find_toolchain(board.target, prefer=compiler)
        return build_firmware(files, toy.NAME, board, kind, directory / "a b", toolchain=toolchain, platform=platform)
    except ToolError as error:
        if "was found" in str(error):
            pytest.skip(str(error))
        raise


def run(firmware: Firmware, emulator: str, *, timeout_s: float = 60.0) -> Run:
    try:
        runner = find_emulator(firmware.board, emulator)
    except ToolError as error:
        pytest.skip(str(error))
    return runner.run(firmware, toy.job(timeout_s=timeout_s))


def assert_right(result: Run, kind: Build) -> None:
    for number, (inputs, inference) in enumerate(zip(toy.job().inputs, result.inferences, strict=True)):
        layer0, layer1 = toy.expected(inputs[0])
        assert inference.outputs == (layer1,), f"inference {number}"
        if kind is Build.RELEASE:
            assert inference.steps == ()
            continue
        rows = [(s.layer, s.output, s.row_begin, s.row_end, s.row_bytes) for s in inference.steps]
        assert rows == [(0, 0, row, row + 1, 8) for row in range(4)] + [(1, 0, 0, 4, 1)]
        assert b"".join(s.data for s in inference.steps) == layer0 + layer1, f"inference {number}"


@pytest.mark.parametrize("kind", Build)
@pytest.mark.parametrize("name", UNICORN_BOARDS)
def test_board_computes_the_right_values_on_unicorn(name: str, kind: Build, tmp_path: Path) -> None:
    result = run(build(load_board(name), tmp_path, kind=kind), "unicorn")
    assert_right(result, kind)
    assert all(i.instructions and i.stack_bytes is not None for i in result.inferences)


@pytest.mark.parametrize("name", ["pico", "nano33", "nucleo-h743zi", "nucleo-u575zi", "esp32c3"])
def test_zig_alone_builds_and_gives_the_same_values(name: str, tmp_path: Path) -> None:
    assert_right(run(build(load_board(name), tmp_path, compiler="zig"), "unicorn"), Build.VALIDATION)


def test_zig_builds_for_helium(tmp_path: Path) -> None:
    assert_right(run(build(load_board("mps3-an547"), tmp_path, compiler="zig"), "qemu"), Build.VALIDATION)


@pytest.mark.parametrize("name", QEMU_BOARDS)
def test_board_computes_the_right_values_in_qemu(name: str, tmp_path: Path) -> None:
    assert_right(run(build(load_board(name), tmp_path), "qemu"), Build.VALIDATION)


@pytest.mark.parametrize("name", sorted(set(UNICORN_BOARDS) & set(QEMU_BOARDS)))
def test_the_same_elf_gives_equal_runs_on_unicorn_and_qemu(name: str, tmp_path: Path) -> None:
    firmware = build(load_board(name), tmp_path)
    in_unicorn, in_qemu = run(firmware, "unicorn"), run(firmware, "qemu")
    for ours, theirs in zip(in_unicorn.inferences, in_qemu.inferences, strict=True):
        assert ours.outputs == theirs.outputs
        assert [s.data for s in ours.steps] == [s.data for s in theirs.steps]
        assert ours.stack_bytes == theirs.stack_bytes


@pytest.mark.parametrize("kind", Build)
def test_host_computes_the_right_values_under_sanitizers(kind: Build, tmp_path: Path) -> None:
    firmware = build(load_board("nano33"), tmp_path, kind=kind, platform=Platform.HOST)
    assert_right(run(firmware, "host"), kind)


# --- faults -------------------------------------------------------------------------------------------------------

RECURSION = """
static __attribute__((noinline)) int8_t deep(volatile int8_t *a, int32_t n)
{
    volatile int8_t frame[64];
    frame[0] = (int8_t)n;
    const int8_t below = n < 2000000000 ? deep(a, n + 1) : a[1];
    return (int8_t)(below ^ frame[0]);
}
"""
LARGE_FRAME = """
static __attribute__((noinline)) int8_t wide(volatile int8_t *a)
{
    volatile int8_t frame[16384];
    for (int32_t i = 16383; i >= 0; i--) {
        frame[i] = a[i & 31];
    }
    return frame[a[2] & 31];
}
"""
FAULTS = {
    "stray write": ("*(volatile int32_t *)(uintptr_t)0x7f000004u = 1;", "", r"0x7f000004.*in function toy_run"),
    "deep recursion": ("a[1] = deep(a, a[0]);", RECURSION, r"stack overflow in (or below )?function deep"),
    "large frame": ("a[1] = wide(a);", LARGE_FRAME, r"stack overflow in (or below )?function (wide|toy_run|main)"),
    "write behind": (f"((volatile int8_t *)a)[{toy.ARENA_BYTES}] = 1;", "", r"lowest 0 bytes behind.*layer 1"),
    "write before": ("((volatile int8_t *)a)[-64] = 1;", "", r"lowest 64 bytes before.*layer 1"),
    "illegal instruction": ("__builtin_trap();", "", r"(?i)invalid|illegal|undefined|breakpoint|hard fault"),
}
FAULT_RUNS = [
    ("nano33", "unicorn"),
    ("pico", "unicorn"),
    ("esp32c3", "unicorn"),
    ("riscv-virt", "unicorn"),
    ("mps2-an386", "qemu"),
    ("mps3-an547", "qemu"),
    ("microbit", "qemu"),
    ("riscv-virt", "qemu"),
    ("esp32", "qemu"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "emulator"), FAULT_RUNS)
def test_fault_is_reported_with_address_function_and_layer(
    name: str, emulator: str, fault: str, tmp_path: Path
) -> None:
    statement, helper, pattern = FAULTS[fault]
    if fault == "stray write" and name == "microbit":
        pattern = r"hard fault in function toy_run"  # Armv6-M tells no address
    firmware = build(load_board(name), tmp_path, files=toy.broken(statement, helper))
    with pytest.raises(EmulatorError, match=pattern) as caught:
        run(firmware, emulator)
    if "guard" not in str(caught.value):
        assert "inference 0, in the step that follows layer 0 (rows 3 to 3)" in str(caught.value)


@pytest.mark.parametrize("instruction", [".word 0xffffffff", ".half 0", "csrr a0, 0x7e2", "ebreak"])
def test_an_instruction_that_the_core_lacks_is_named_by_its_own_address(instruction: str, tmp_path: Path) -> None:
    statement = f'__asm__ volatile(".globl culprit\\nculprit: {instruction}" ::: "a0");'
    firmware = build(load_board("esp32c3"), tmp_path, files=toy.broken(statement))
    with pytest.raises(EmulatorError) as caught:
        run(firmware, "unicorn")
    assert f"in function toy_run (pc 0x{read_image(firmware.elf).symbol('culprit'):08x})" in str(caught.value)


@pytest.mark.parametrize(("name", "emulator"), [("nano33", "unicorn"), ("mps2-an386", "qemu")])
def test_release_builds_check_the_guards_too(name: str, emulator: str, tmp_path: Path) -> None:
    files = toy.broken(FAULTS["write behind"][0])
    firmware = build(load_board(name), tmp_path, files=files, kind=Build.RELEASE)
    with pytest.raises(EmulatorError, match="behind the arena's end"):
        run(firmware, emulator)


def test_null_read_faults_where_nothing_lies_at_zero(tmp_path: Path) -> None:
    statement = (
        'uintptr_t null = (uintptr_t)a; null ^= null; __asm__ volatile("" : "+r"(null)); a[0] = *(int8_t *)null;'
    )
    firmware = build(load_board("stm32f746-discovery"), tmp_path, files=toy.broken(statement))
    with pytest.raises(EmulatorError, match="invalid read of 1 bytes at 0x00000000 in function toy_run"):
        run(firmware, "unicorn")


def test_write_to_flash_faults(tmp_path: Path) -> None:
    firmware = build(load_board("nano33"), tmp_path, files=toy.broken("*(volatile int32_t *)(uintptr_t)0x18000u = 1;"))
    with pytest.raises(EmulatorError, match="write to read-only memory of 4 bytes at 0x00018000"):
        run(firmware, "unicorn")


def test_small_core_refuses_unaligned_access(tmp_path: Path) -> None:
    load = 'int32_t v; __asm__ volatile("ldr %0, [%1]" : "=l"(v) : "l"(a + 1)); a[0] = (int8_t)v;'
    firmware = build(load_board("pico"), tmp_path, files=toy.broken(load))
    with pytest.raises(EmulatorError, match="in function toy_run"):
        run(firmware, "unicorn")


@pytest.mark.parametrize(
    ("name", "emulator"), [("nano33", "unicorn"), ("esp32c3", "unicorn"), ("mps2-an386", "qemu"), ("nano33", "host")]
)
def test_endless_loop_ends_in_a_timeout(name: str, emulator: str, tmp_path: Path) -> None:
    files = toy.broken("for (volatile int32_t spin = 1; spin != 0;) { spin = 1; }")
    firmware = build(load_board(name), tmp_path, files=files, platform=Platform.HOST if emulator == "host" else None)
    with pytest.raises(EmulatorError, match=r"no end within 0\.5 s.*follows layer 0"):
        run(firmware, emulator, timeout_s=0.5)


@pytest.mark.parametrize(
    ("statement", "pattern"),
    [
        (f"((volatile int8_t *)a)[{toy.ARENA_BYTES}] = 1;", r"use-after-poison in function toy_run \(toy\.c:\d+"),
        ("((volatile int8_t *)a)[-1] = 1;", r"use-after-poison in function toy_run \(toy\.c:\d+"),
        ("volatile int32_t big = 2147483647; big = big + 1;", r"signed integer overflow"),
    ],
)
def test_host_sanitizers_are_reported(statement: str, pattern: str, tmp_path: Path) -> None:
    firmware = build(load_board("nano33"), tmp_path, files=toy.broken(statement), platform=Platform.HOST)
    if "address" not in firmware.sanitizers:
        pytest.skip("no compiler with AddressSanitizer: apt install gcc")
    with pytest.raises(EmulatorError, match=pattern):
        run(firmware, "host")


def test_model_that_does_not_fit_names_the_missing_bytes(tmp_path: Path) -> None:
    files = {**toy.FILES, "toy.h": toy.HEADER.replace(f"ARENA_BYTES {toy.ARENA_BYTES}", "ARENA_BYTES 20000")}
    for compiler in ("gcc", "zig"):
        with pytest.raises(DoesNotFitError, match=r"microbit.*needs \d+ bytes more than its ram of 16384 bytes"):
            build(load_board("microbit"), tmp_path / compiler, files=files, compiler=compiler)


# --- counts -------------------------------------------------------------------------------------------------------


def count_every_instruction(firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> tuple[int, ...]:
    """The instructions of each inference as Unicorn's own per-instruction hook sees them.

    That hook leaves out the instructions of an IT block whose condition does not hold. Cores issue them, and QEMU
    counts them, so here an IT instruction counts for its whole block.
    """
    import unicorn

    from tinygen.emulate import counter

    totals: list[int] = []
    is_thumb = firmware.board.target.architecture is Architecture.ARM_M

    class Slow(PythonCounter):
        """Follows the same borders, but counts executed instructions one at a time."""

        def __init__(self, engine: unicorn.Uc, settings: counter.Settings) -> None:
            self.one_by_one = 0
            self.block_end = 0
            super().__init__(engine, settings)
            engine.hook_add(unicorn.UC_HOOK_CODE, self._each)

        def _block(self, engine: unicorn.Uc, address: int, size: int, user: object) -> None:
            before = self._state
            super()._block(engine, address, size, user)
            if before == counter.RUNNING and self._state == counter.IDLE:
                totals.append(self.one_by_one)
                self.one_by_one = 0

        def _each(self, engine: unicorn.Uc, address: int, _size: int, _user: object) -> None:
            if self._state != counter.RUNNING or address < self.block_end:
                return
            self.block_end = 0
            self.one_by_one += 1
            opcode = int.from_bytes(engine.mem_read(address, 2), "little")
            if is_thumb and opcode & 0xFF00 == 0xBF00 and opcode & 0xF:
                conditional = {1: 4, 2: 3, 4: 2, 8: 1}[opcode & -opcode & 0xF]
                self.one_by_one += conditional
                self.block_end = address + 2
                for _ in range(conditional):
                    is_long = engine.mem_read(self.block_end + 1, 1)[0] >> 3 >= 0x1D
                    self.block_end += 4 if is_long else 2

    with monkeypatch.context() as patch:
        patch.setattr(counter, "make_counter", Slow)
        run(firmware, "unicorn")
    return tuple(totals)


@pytest.mark.parametrize("name", ["nano33", "pico", "nucleo-h743zi", "nucleo-u575zi", "esp32c3"])
def test_instruction_counts_are_exact(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = build(load_board(name), tmp_path, kind=Build.RELEASE)
    fast = tuple(inference.instructions for inference in run(firmware, "unicorn").inferences)
    assert fast == count_every_instruction(firmware, monkeypatch)


@pytest.mark.parametrize("name", ["nano33", "esp32c3"])
def test_python_and_native_counters_agree(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if native_library() is None:
        pytest.skip("no native C compiler: apt install gcc, or pip install ziglang")
    firmware = build(load_board(name), tmp_path)
    fast = run(firmware, "unicorn")
    monkeypatch.setattr("tinygen.emulate.counter.native_library", lambda: None)
    slow = run(firmware, "unicorn")
    assert fast.inferences == slow.inferences
    assert not fast.notes and "counted in Python" in slow.notes[0]


def test_step_counts_leave_the_hook_out(tmp_path: Path) -> None:
    board = load_board("nano33")
    validation = run(build(board, tmp_path / "v"), "unicorn").inferences[0]
    release = run(build(board, tmp_path / "r", kind=Build.RELEASE), "unicorn").inferences[0]
    assert validation.instructions and release.instructions
    steps = [step.instructions or 0 for step in validation.steps]
    assert all(steps) and sum(steps) <= validation.instructions
    # What is left is the arguments of five calls; the hook itself runs thousands of instructions.
    assert validation.instructions - release.instructions < 5 * 30


def test_counters_survive_calls_through_every_compiler(tmp_path: Path) -> None:
    board = load_board("nano33")
    families = [f for f in board.target.families if f in (Family.ARM_GCC, Family.ZIG)]
    counts = set()
    for family in families:
        firmware = build(board, tmp_path / family.value, kind=Build.RELEASE, compiler=family.value)
        counts.add(run(firmware, "unicorn").inferences[0].instructions)
    assert all(count and 100 < count < 10_000 for count in counts)


def test_nothing_depends_on_zeroed_memory_or_the_inference_before(tmp_path: Path) -> None:
    board = load_board("nano33")
    files = toy.broken("a[80] = a[98];")  # a byte that nothing writes: the arena's paint must show
    result = run(build(board, tmp_path, files=files, kind=Build.RELEASE), "unicorn")
    assert {inference.outputs[0][0] for inference in result.inferences} == {0x5A}


def test_stack_overflow_is_told_from_the_boards_own_reserve(tmp_path: Path) -> None:
    board = load_board("nano33")
    small = dataclasses.replace(
        board, stack_bytes=256, memories=tuple(msgspec.structs.replace(m) for m in board.memories)
    )
    helper = LARGE_FRAME.replace("16384", "512").replace("16383", "511")
    firmware = build(small, tmp_path, files=toy.broken("a[1] = wide(a);", helper))
    with pytest.raises(EmulatorError, match="more than the 256 bytes that the board's stack_bytes reserves"):
        run(firmware, "unicorn")
