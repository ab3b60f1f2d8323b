"""The driver around LLVM's Xtensa back end: options sorted, literals mended, frames added up, failures told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinygen.toolchain import xtensa_llvm
from tinygen.toolchain.xtensa_llvm import mend, parse, stack_usage


def test_each_program_gets_its_own_of_gccs_options() -> None:
    options = (
        "-ffreestanding -ffunction-sections -fdata-sections -fstack-usage -c -O2 -I . -idirafter inc -DX=1 a.c -o a.o"
    )
    request = parse(options.split())
    assert request.clang_options == ("-ffreestanding", "-O2", "-I", ".", "-idirafter", "inc", "-DX=1")
    assert request.llc_options == ("-function-sections", "-data-sections")
    assert (request.source, request.output, request.writes_stack_usage) == ("a.c", Path("a.o"), True)


def test_literals_move_aligned_to_a_section_of_their_own_function_ahead_of_it() -> None:
    lines = """\
	.file	"/home/someone/b c/f.c"
	.literal_position
	.literal .LCPI1_0, use
	.literal .LCPI1_1, 40016
	.section	.text.before,"ax",@progbits
	.section	.text.f,"ax",@progbits
	.type	f,@function
f:
	l32r	a8, .LCPI1_0""".splitlines()
    assert (
        "\n".join(mend(lines))
        == """\
	.file	"f.c"
	.section	.literal.f,"ax",@progbits
	.p2align	2
.LCPI1_0:
	.long	use
.LCPI1_1:
	.long	40016
	.section	.text.before,"ax",@progbits
	.section	.text.f,"ax",@progbits
	.type	f,@function
f:
	l32r	a8, .LCPI1_0"""
    )


@pytest.mark.parametrize(
    ("body", "row"),
    [
        ("entry\ta1, 48", "48\tstatic"),
        ("entry\ta1, 48|addi\ta8, a1, -12|movsp\ta1, a8|addi\ta8, a1, 12|movsp\ta1, a8", "60\tstatic"),
        ("entry\ta1, 32|addi\ta8, a1, -4|movsp\ta1, a8|addi\ta9, a1, -16|movsp\ta1, a9", "52\tstatic"),
        ("entry\ta1, 32|sub\ta8, a1, a8|movsp\ta1, a8", "32\tdynamic"),
    ],
    ids=["plain", "arguments on the stack", "twice", "by a register"],
)
def test_a_frame_is_what_entry_makes_and_movsp_adds(body: str, row: str) -> None:
    lines = ["\t.type\tf,@function", "f:", *(f"\t{line}" for line in body.split("|")), "\t.size\tf, 9"]
    assert stack_usage(lines) == [f"f\t{row}"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    driver = str(Path(xtensa_llvm.__file__))
    return subprocess.run([sys.executable, "-I", driver, *arguments], capture_output=True, text=True, timeout=60)


def test_a_program_that_fails_is_named_with_its_code_and_its_own_words(tmp_path: Path) -> None:
    if not Path("/bin/sh").exists():
        pytest.skip("/bin/sh is missing: this test needs Unix")
    broken = tmp_path / "llc"
    broken.write_text("#!/bin/sh\necho 'Cannot select: f' >&2\nexit 70\n")
    broken.chmod(0o755)
    done = run("true", str(broken), "true", "true", "-c", "f.c", "-o", "f.o")
    assert done.returncode == 1
    assert "Cannot select: f" in done.stderr and "error: llc ended with code 70" in done.stderr


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(str(tmp_path / "absent"), "llc", "mc", "ld", "--version")
    assert done.returncode == 1 and "absent cannot be started: No such file" in done.stderr
