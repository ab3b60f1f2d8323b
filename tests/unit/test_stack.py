"""Worst-case stack: the deepest path adds up exactly, and whatever has no bound is said to have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinygen.errors import ToolError
from tinygen.resources import resource_path
from tinygen.targets import Family, Target, find_target
from tinygen.toolchain import Toolchain, find_toolchain, measure
from tinygen.toolchain.options import compile_options
from tinygen.toolchain.run import call
from tinygen.toolchain.stack import (
    RUNTIME_HELPER_BYTES,
    Frame,
    frame_of,
    frames_from_section,
    frames_from_su,
    pushed_bytes,
    worst_stack,
)

BUILDS = (
    ("cortex-m4f", "arm-none-eabi-gcc"),
    ("cortex-m0plus", "arm-none-eabi-gcc"),
    ("rv32imc", "riscv64-unknown-elf-gcc"),
    ("xtensa-lx6", "xtensa-lx106-elf-gcc"),
    ("xtensa-lx6", "xtensa-llvm"),
    ("cortex-m4f", "zig"),
    ("rv32imc", "zig"),
)
every_build = pytest.mark.parametrize(("target_name", "compiler"), BUILDS, ids=["-".join(b) for b in BUILDS])

PRELUDE = """\
#include <stdint.h>
#include <string.h>
#define ALONE __attribute__((noinline, noclone))
#if defined(__clang__)
#undef ALONE
#define ALONE __attribute__((noinline))
#endif
extern volatile int32_t sink;
volatile int32_t sink = 0;
void m_run(void *arena);
static ALONE int32_t use(volatile int8_t *frame, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) {
        frame[i] = (int8_t)sink;
    }
    return frame[sink & 15];
}
"""


def function(name: str, frame_bytes: int, calls: str = "") -> str:
    """A function with a frame of at least so many bytes that it keeps while it calls."""
    return (
        f"static ALONE int32_t {name}(int32_t n)\n{{\n    volatile int8_t frame[{frame_bytes}];\n"
        f"    int32_t result = use(frame, {frame_bytes}) + n;\n"
        + "".join(f"    result += {call}(result);\n" for call in calls.split())
        + "    return result + frame[0];\n}\n"
    )


RUN = "void m_run(void *arena)\n{{\n    int8_t *a = arena;\n    sink = {};\n    (void)a;\n}}\n"
CHAIN = PRELUDE + function("third", 512) + function("second", 64, "third") + function("first", 128, "second")
CALL = RUN.format("first(a[0])")


def found(target_name: str, compiler: str) -> tuple[Target, Toolchain]:
    target = find_target(target_name)
    try:
        return target, find_toolchain(target, prefer=compiler)
    except ToolError as missing:
        pytest.skip(str(missing))


def compiled(source: str, target: Target, toolchain: Toolchain, folder: Path) -> tuple[int | None, dict[str, Frame]]:
    """The worst stack of m_run as `measure` finds it, and each function's own frame."""
    zig = toolchain.family is Family.ZIG
    (folder / "m.c").write_text(source)
    (folder / "data.c").write_text("extern const int m_table[2];\nconst int m_table[2] = { 1, 2 };\n")
    headers = ("-idirafter", str(resource_path("firmware") / "include"))
    base = (*toolchain.command, *compile_options(target, toolchain), "-std=gnu99", "-O2", "-Werror", *headers, "-c")
    call([*base, "-fstack-size-section" if zig else "-fstack-usage", "m.c", "-o", "m.o"], folder)
    call([*base, "data.c", "-o", "data.o"], folder)
    frames = frames_from_section(folder / "m.o") if zig else frames_from_su(folder / "m.su")
    found = worst_stack(folder / "m.o", "m_run", frames, folder / "data.o")
    return found.stack_bytes if found else None, frames


@every_build
def test_a_chain_of_calls_adds_up_exactly(target_name: str, compiler: str, tmp_path: Path) -> None:
    stack, frames = compiled(CHAIN + CALL, *found(target_name, compiler), tmp_path)
    path = ("m_run", "first", "second", "third", "use")
    assert all(frames[name].bounded for name in path)
    assert stack == sum(frames[name].stack_bytes for name in path)
    assert stack > 512 + 64 + 128


@every_build
def test_the_deepest_of_several_branches_counts(target_name: str, compiler: str, tmp_path: Path) -> None:
    source = PRELUDE + function("deep", 600) + function("wide", 300) + function("first", 32, "wide deep wide")
    stack, frames = compiled(source + CALL, *found(target_name, compiler), tmp_path)
    assert stack == sum(frames[name].stack_bytes for name in ("m_run", "first", "deep", "use"))


@every_build
def test_a_function_that_is_another_ones_alias_has_its_frame(target_name: str, compiler: str, tmp_path: Path) -> None:
    alias = 'static int32_t twin(int32_t n) __attribute__((alias("large")));\n'
    source = PRELUDE + function("large", 700) + alias + RUN.format("twin(a[0])")
    stack, frames = compiled(source, *found(target_name, compiler), tmp_path)
    assert stack == sum(frames[name].stack_bytes for name in ("m_run", "large", "use"))


@every_build
def test_a_function_that_is_only_pointed_to_counts(target_name: str, compiler: str, tmp_path: Path) -> None:
    table = "static int32_t (*const table[])(int32_t) = { small, large };\n"
    source = PRELUDE + function("small", 16) + function("large", 700) + table + RUN.format("table[a[0] & 1](2)")
    stack, frames = compiled(source, *found(target_name, compiler), tmp_path)
    assert stack == sum(frames[name].stack_bytes for name in ("m_run", "large", "use"))


ENDLESS = {
    "recursion": """
int32_t first(int32_t n);
ALONE int32_t first(int32_t n)
{
    volatile int8_t frame[32];
    const int32_t below = n > 0 ? first(n - 1) + first(n - 2) : 0;
    return use(frame, 32) + below;
}
""",
    "recursion of two": """
static ALONE int32_t second(int32_t n);
static ALONE int32_t first(int32_t n)
{
    volatile int8_t frame[32];
    return use(frame, 32) + (n > 0 ? second(n - 1) : 0) + frame[1];
}
static ALONE int32_t second(int32_t n)
{
    volatile int8_t frame[32];
    return use(frame, 32) + (n > 0 ? first(n - 2) : 0) + frame[1];
}
""",
    "an array of variable length": """
static ALONE int32_t first(int32_t n)
{
    volatile int8_t frame[(n & 127) + 1];
    return use(frame, n);
}
""",
    "an unknown function": "int32_t first(int32_t n);\n",
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS.keys())
@every_build
def test_what_has_no_bound_is_said_to_have_none(target_name: str, compiler: str, body: str, tmp_path: Path) -> None:
    stack, _ = compiled(PRELUDE + body + CALL, *found(target_name, compiler), tmp_path)
    assert stack is None


@every_build
def test_memory_functions_have_a_bound_of_their_own(target_name: str, compiler: str, tmp_path: Path) -> None:
    copy = "memcpy((void *)(uintptr_t)n, (void *)(uintptr_t)16, (size_t)n)"
    body = f"static ALONE int32_t first(int32_t n)\n{{\n    {copy};\n    return n;\n}}\n"
    stack, frames = compiled(PRELUDE + body + CALL, *found(target_name, compiler), tmp_path)
    assert stack == frames["m_run"].stack_bytes + frames["first"].stack_bytes + RUNTIME_HELPER_BYTES


@every_build
def test_constants_of_another_file_are_no_calls(target_name: str, compiler: str, tmp_path: Path) -> None:
    body = "extern const int m_table[2];\nstatic ALONE int32_t first(int32_t n)\n{\n    return m_table[n & 1];\n}\n"
    stack, frames = compiled(PRELUDE + body + CALL, *found(target_name, compiler), tmp_path)
    assert stack == frames["m_run"].stack_bytes + frames["first"].stack_bytes


def test_a_root_that_is_not_there_has_no_bound(tmp_path: Path) -> None:
    target, toolchain = found("cortex-m4f", "arm-none-eabi-gcc")
    _, frames = compiled(CHAIN + CALL, target, toolchain, tmp_path)
    assert worst_stack(tmp_path / "m.o", "absent", frames, tmp_path / "data.o") is None


def test_measuring_gives_code_weights_and_stack_and_counts_what_is_writable(tmp_path: Path) -> None:
    target, toolchain = found("cortex-m4f", "arm-none-eabi-gcc")
    files = {
        "m.h": "void m_run(void *arena);\n",
        "m.c": '#include <stdint.h>\n#include "m.h"\nextern int32_t counter;\nint32_t counter = 5;\n'
        "void m_run(void *arena)\n{\n    *(int32_t *)arena = ++counter;\n}\n",
        "m_weights.c": "#include <stdint.h>\nextern const int8_t w[100];\nconst int8_t w[100] = { 1 };\n",
    }
    size = measure(files, "m", target, toolchain)
    assert (size.weights_bytes, size.writable_bytes, size.stack_bytes) == (100, 4, 0)
    assert 4 <= size.code_bytes <= 32


@pytest.mark.parametrize(
    ("lines", "frames"),
    [
        ("a.c:1:2:f\t24\tstatic\n", {"f": Frame(24, True)}),
        ("a.c:1:2:f\t24\tdynamic\n", {"f": Frame(24, False)}),
        ("a.c:1:2:f\t24\tdynamic,bounded\n", {"f": Frame(24, True)}),
        ("a.c:1:2:f.constprop\t8\tstatic\na.c:1:2:f.constprop\t40\tstatic\n", {"f.constprop": Frame(40, True)}),
        ("a b.c:1:2:f\t8\tstatic\na b.c:9:2:f\t4\tdynamic\n", {"f": Frame(8, False)}),
        ("", {}),
    ],
)
def test_gccs_report_is_read(lines: str, frames: dict[str, Frame], tmp_path: Path) -> None:
    (tmp_path / "a.su").write_text(lines)
    assert frames_from_su(tmp_path / "a.su") == frames


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("no assembly", 0),
        ('"push {r0, r7}\\n\\t"', 8),
        ('"push {r1-r8}\\n"', 32),
        ('"push {r0, r7}\\n" "push {r1-r6, r8, lr}\\n"', 32),
        ('"push {r1-r10}\\n"\n"sub sp, sp, #288\\n"', 40 + 288),
    ],
)
def test_what_assembly_takes_of_the_stack_is_counted(text: str, count: int) -> None:
    assert pushed_bytes(text) == count


@pytest.mark.parametrize("name", ["f.constprop.isra", "f.constprop.0.isra.0", "f$constprop$0$isra$12"])
def test_a_clone_of_a_clone_has_the_frame_that_the_compiler_reports(name: str) -> None:
    frames = {"f.constprop.isra": Frame(40, True)}
    assert frame_of(name, frames) == Frame(40, True)
    assert frame_of(f"g{name}", frames) is None
