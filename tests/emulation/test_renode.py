"""How Renode is found, driven and believed, with a program in its place that plays its part."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.emulation import toy
from tinygen.boards import load_board
from tinygen.cli import main
from tinygen.emulate import renode
from tinygen.emulate.calls import return_addresses, return_instructions
from tinygen.emulate.symbols import Image, read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.export.renode import platform_text
from tinygen.targets import Architecture
from tinygen.toolchain import Build, Firmware, build_firmware, find_toolchain

FAKE = """#!{python}
import pathlib, sys, time
if "--version" in sys.argv:
    print("Renode, version {version}.12345 (abc-20260216)")
    sys.exit()
assert sys.argv[1:] == ["--disable-gui", "--console", "--plain", "run.resc"]
assert pathlib.Path("selftest.elf").is_file() and pathlib.Path("nano33.repl").is_file()
{body}
"""
PASS = 'pathlib.Path("console.txt").write_text("TINYGEN CYCLES toy 7\\r\\nTINYGEN PASS toy inputs=1 layers=2\\r\\n")'
MARKS = """
print("[INFO] cpu: tinygen run begins at 100")
print("[INFO] cpu: tinygen run ends at 300")
print("[INFO] cpu: tinygen run begins at 1000")
print("[INFO] cpu: tinygen run ends at 1550")
print("[INFO] cpu: tinygen run ends at 9000")
print("[INFO] cpu: tinygen run begins at 9900")
"""
LINGER = "sys.stdout.flush(); time.sleep(60)"


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    board = load_board("nano33")
    try:
        find_toolchain(board.target)
    except ToolError as missing:
        pytest.skip(str(missing))
    return build_firmware(toy.FILES, toy.NAME, board, Build.RELEASE, tmp_path_factory.mktemp("toy"))


def fake(folder: Path, *body: str, version: str = "1.16.1") -> Path:
    """A program that says it is Renode and does what the body says."""
    path = folder / "renode"
    path.write_text(FAKE.format(python=sys.executable, version=version, body="\n".join(body)), encoding="utf-8")
    path.chmod(0o755)
    return path


def run(firmware: Firmware, program: Path, timeout_s: float = 20.0) -> renode.RenodeRun:
    files = {"nano33.repl": platform_text(firmware.board)}
    return renode.run_renode(firmware, files, program, program.parent / "run", timeout_s=timeout_s)


def test_lines_and_instructions_are_read_and_renode_is_ended(firmware: Firmware, tmp_path: Path) -> None:
    result = run(firmware, fake(tmp_path, MARKS, PASS, LINGER))
    assert result.lines == ("TINYGEN CYCLES toy 7", "TINYGEN PASS toy inputs=1 layers=2")
    assert result.instructions == 550
    assert result.version == "1.16.1"


@pytest.mark.parametrize("logged", ["", 'print("[INFO] cpu: tinygen run begins at 100")'], ids=["nothing", "no end"])
def test_a_pass_without_a_count_is_an_error(logged: str, firmware: Firmware, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"passed, but Renode's log has no count.*toy_run did not work"):
        run(firmware, fake(tmp_path, logged, PASS, LINGER))


def test_the_exit_code_is_not_believed(firmware: Firmware, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"no result before Renode ended with exit code 0.*\n.*Parameters did not"):
        run(firmware, fake(tmp_path, 'print("Parameters did not match the signature")'))


def test_an_access_outside_every_memory_is_an_error(firmware: Firmware, tmp_path: Path) -> None:
    stray = 'print("[WARNING] sysbus: WriteDoubleWord to non existing peripheral at 0x40000000.")'
    with pytest.raises(EmulatorError, match=r"nothing answers on board nano33.*0x40000000"):
        run(firmware, fake(tmp_path, stray, PASS))


def test_real_time_is_bounded(firmware: Firmware, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"no result within 0\.5 s"):
        run(firmware, fake(tmp_path, LINGER), timeout_s=0.5)


@pytest.mark.parametrize(("timeout_s", "virtual_s"), [(20.0, 120), (600.0, 120), (1800.0, 360)])
def test_who_grants_more_real_time_gets_more_virtual_time(
    timeout_s: float, virtual_s: int, firmware: Firmware, tmp_path: Path
) -> None:
    told = 'print(pathlib.Path("run.resc").read_text())'
    with pytest.raises(EmulatorError, match=rf'granted {virtual_s} virtual seconds(.*\n)*.*RunFor "{virtual_s}"'):
        run(firmware, fake(tmp_path, told), timeout_s)


def test_a_half_written_line_and_another_models_line_are_no_result(firmware: Firmware, tmp_path: Path) -> None:
    body = 'pathlib.Path("console.txt").write_bytes(b"TINYGEN PASS other inputs=1 layers=2\\r\\nTINYGEN PASS toy inp")'
    with pytest.raises(EmulatorError, match="printed no result"):
        run(firmware, fake(tmp_path, body))


def test_a_difference_before_pass_is_no_pass(firmware: Firmware, tmp_path: Path) -> None:
    differ = "TINYGEN DIFFER toy input=0 layer=1 op=ADD crc=1 expected=2"
    body = f'pathlib.Path("console.txt").write_text("{differ}\\r\\nTINYGEN PASS toy inputs=1 layers=2\\r\\n")'
    result = run(firmware, fake(tmp_path, body))
    assert not result.passed


def test_a_stray_access_just_after_the_last_line_is_seen(firmware: Firmware, tmp_path: Path) -> None:
    late = 'time.sleep(0.4); print("sysbus: ReadByte from non existing peripheral at 0x1.", flush=True); time.sleep(60)'
    with pytest.raises(EmulatorError, match="nothing answers"):
        run(firmware, fake(tmp_path, PASS, late))


def test_a_relative_path_and_a_link_lead_to_renode(
    firmware: Firmware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake(tmp_path, PASS)
    (tmp_path / "bin").mkdir()
    (tmp_path / "renode-test").write_text("#!/bin/sh\n")
    (tmp_path / "renode-test").chmod(0o755)
    (tmp_path / "bin" / "renode-test").symlink_to(tmp_path / "renode-test")
    monkeypatch.chdir(tmp_path)
    assert renode.find_renode("./renode") == program
    assert renode.find_renode("bin/renode-test") == program


def test_a_program_that_is_not_renode_is_refused(firmware: Firmware, tmp_path: Path) -> None:
    program = tmp_path / "other"
    program.write_text("#!/bin/sh\necho other program 9.1\n")
    program.chmod(0o755)
    with pytest.raises(ToolError, match="does not tell its version"):
        run(firmware, program)


def test_a_program_that_hangs_when_asked_for_its_version_is_told(
    firmware: Firmware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renode, "VERSION_SECONDS", 0.5)
    program = tmp_path / "renode"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(ToolError, match=r"did not tell its version within 0\.5 s\. Is this Renode\?"):
        run(firmware, program)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tool,) = renode.survey()
    assert tool.version is None


def test_the_doctor_lists_renode_found_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for version in ("1.16.1", ""):
        if version:
            monkeypatch.setenv("PATH", f"{fake(tmp_path, PASS).parent}{os.pathsep}{os.environ['PATH']}")
        else:
            (tmp_path / "renode").unlink()
        assert main(["doctor", "--json"]) == 0
        found[version] = next(tool for tool in json.loads(capsys.readouterr().out) if tool["name"] == "renode")
    assert found["1.16.1"]["version"] == "1.16.1"
    assert found[""]["version"] is None and "portable release" in found[""]["install"]


def test_a_renode_too_old_for_the_board_is_refused(firmware: Firmware, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"Renode 1\.13\.3 is too old for board nano33: 1\.14 is needed"):
        run(firmware, fake(tmp_path, PASS, version="1.13.3"))


def test_without_renode_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="Renode is not installed: unpack the portable release"):
        renode.find_renode()
    with pytest.raises(ToolError, match="--renode /no/such: this is no program"):
        renode.find_renode("/no/such")


def test_renode_test_leads_to_renode_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = fake(tmp_path, PASS)
    (tmp_path / "renode-test").write_text("#!/bin/sh\n")
    (tmp_path / "renode-test").chmod(0o755)
    assert renode.find_renode(str(tmp_path / "renode-test")) == program
    monkeypatch.setenv("PATH", str(tmp_path))
    assert renode.find_renode() == program


def test_a_failed_self_test_is_not_counted(firmware: Firmware, tmp_path: Path) -> None:
    result = run(firmware, fake(tmp_path, MARKS, PASS.replace("PASS toy", "FAIL toy")))
    assert result.lines[-1].startswith("TINYGEN FAIL toy")
    assert result.instructions is None


def test_the_script_bounds_virtual_time_and_ends(firmware: Firmware) -> None:
    lines = renode.batch_script(firmware).splitlines()
    assert f'emulation RunFor "{renode.VIRTUAL_SECONDS}"' in lines
    assert lines[-1] == "quit"
    loaded = lines.index("sysbus LoadELF $ORIGIN/selftest.elf")
    assert loaded < lines.index("sysbus WriteDoubleWord 0x40000100 0x1") < len(lines) - 2


def test_hooks_count_at_the_run_functions_entry_and_behind_each_call_of_it(firmware: Firmware) -> None:
    image = read_image(firmware.elf)
    ends = return_addresses(image, Architecture.ARM_M, "toy_run")
    assert ends and {image.function_at(end) for end in ends} == {"main"}
    hooks = [line for line in renode.batch_script(firmware).splitlines() if "AddHook" in line]
    text = 'str(self.ExecutedInstructions))"'
    assert hooks[0].startswith(f"sysbus.cpu AddHook 0x{image.symbol('toy_run'):X} ") and hooks[0].endswith(text)
    assert [line.split()[2] for line in hooks[1:]] == [f"0x{end:X}" for end in ends]
    assert all(renode.END in line and line.endswith(text) for line in hooks[1:])


@pytest.mark.parametrize(
    ("code", "at"),
    [
        ("364100 900000", [3]),  # entry a1, 32; retw
        ("364100 0c02 1df0", [5]),  # entry; movi.n a2, 0; retw.n
        ("364100 900000 f22190 0000a0 1df0", [3, 12]),  # two, and the bytes of one across two instructions
        ("364100 ee900000 900000", [7]),  # behind an instruction of four bytes, which holds the bytes of one
        ("364100 800000", []),  # ret, of the other ABI
    ],
)
def test_returns_of_windowed_code_are_read_instruction_by_instruction(code: str, at: list[int]) -> None:
    content = b"\x90\x00\x00" + bytes.fromhex(code) + b"\x90\x00\x00"  # of the functions beside
    begin, end = 0x1003, 0x1003 + len(bytes.fromhex(code))
    image = Image(
        0, ((0x1000, content),), {"run": begin}, (0x1000, begin, end), ("a", "run", "b"), (begin, end, end + 3)
    )
    assert return_instructions(image, "run") == tuple(begin + offset for offset in at)


def code_at(begin: int, code: bytes, target: int) -> Image:
    """An image of these instructions, with a function `run` somewhere."""
    symbols = {"_code_start": begin, "_code_end": begin + len(code), "run": target}
    return Image(begin, ((begin, code),), symbols, (), (), ())


@pytest.mark.parametrize(
    ("architecture", "code", "target", "behind"),
    [
        (Architecture.ARM_M, "00bf 00f0 00f8", 0x1006, 0x1006),  # nop; bl to the next instruction
        (Architecture.ARM_M, "fff7 feff", 0x1000, 0x1004),  # bl to itself
        (Architecture.ARM_M, "00f0 00f0", 0x0040_1004, 0x1004),  # bl forwards by 4 MB: J2 is 0
        (Architecture.RISCV32, "ef008000", 0x1008, 0x1004),  # jal ra, .+8
        (Architecture.RISCV32, "eff0dfff", 0x0FFC, 0x1004),  # jal ra, .-4
        (Architecture.RISCV32, "1120", 0x1004, 0x1002),  # c.jal .+4
        (Architecture.RISCV32, "f53f", 0x0FFC, 0x1002),  # c.jal .-4
        (Architecture.RISCV32, "97100000 e780c0ff", 0x1FFC, 0x1008),  # auipc ra, 1; jalr ra, -4(ra)
    ],
)
def test_calls_are_read_in_every_form(architecture: Architecture, code: str, target: int, behind: int) -> None:
    image = code_at(0x1000, bytes.fromhex(code), target)
    assert return_addresses(image, architecture, "run") == (behind,)
    assert return_addresses(code_at(0x1000, bytes.fromhex(code), target + 2), architecture, "run") == ()
