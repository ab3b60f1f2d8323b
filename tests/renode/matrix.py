"""The cases of `tests/renode/run`: firmware for every board and model, and the Robot suite that runs them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.flip import flip_a_weight
from tests.support.paths import EXAMPLES, ROOT
from tinygen import compile_model, load_board, read_model
from tinygen.boards import UartFamily, board_names
from tinygen.emulate.renode import BEGIN, END, STRAY, hook_commands
from tinygen.emulate.selftest import run_selftest
from tinygen.export.renode import (
    Expected,
    RenodePlatform,
    platform_name,
    platform_text,
    renode_files,
    start_commands,
    uart_name,
)
from tinygen.toolchain import Firmware, build_selftest
from tinygen.validate.vectors import make_vectors, selftest_sources

SHARED_KWS = ROOT.parent / "shared" / "models" / "mlperf_kws.tflite"
MODELS = tuple(path for path in (*EXAMPLES, SHARED_KWS) if path.exists())
UNICORN_SECONDS = 60.0
RIGHT, FLIPPED, EXPORTED, STOCK = "right", "flipped", "exported", "stock"
"""Kinds of cases; exported is the Robot file that `tinygen build` writes, as it is; stock the same with Renode's own
platform file."""
MARK = "TINYGEN-CASE"
"""Begins the lines that the suite prints for the runner."""


def real_boards() -> tuple[str, ...]:
    """Boards that somebody can hold: the emulators' own have Arm's example UART."""
    boards = (load_board(name) for name in board_names())
    return tuple(board.name for board in boards if board.runs_in_renode and board.console.uart is not UartFamily.CMSDK)


@dataclass(frozen=True)
class Case:
    """One firmware on one board. Files lie in the suite's folder; `wanted` is how the decisive line begins."""

    board: str
    model: str
    kind: str
    firmware: Firmware
    platform: str
    wanted: str
    commands: tuple[str, ...]
    is_counted: bool
    unicorn_instructions: int | None = None
    macs: int = 0

    @property
    def name(self) -> str:
        """The test's name in the suite."""
        return f"{self.board}/{self.model}/{self.kind}"


def build_cases(board_name: str, model: Path, folder: Path) -> tuple[Case, ...]:
    """The right firmware and one with a weight's bit flipped, files in `folder`. Raises what building raises."""
    board = load_board(board_name)
    compiled = compile_model(read_model(model), board)
    name, layers = compiled.program.name, len(compiled.program.graph.nodes)
    files = {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, 1))}
    built = build_selftest(files, name, board, folder / f"build-{board_name}-{model.stem}")
    firmware = replace(built, elf=folder / f"{board_name}-{model.stem}.elf")
    shutil.copyfile(built.elf, firmware.elf)
    (folder / platform_name(board)).write_text(platform_text(board), encoding="utf-8", newline="\n")
    hooks = hook_commands(firmware)
    counted = run_selftest(firmware, "unicorn", timeout_s=UNICORN_SECONDS) if board.emulation.unicorn else None
    right = Case(
        board_name,
        model.stem,
        RIGHT,
        firmware,
        platform_name(board),
        Expected(name, 1, layers).line,
        start_commands(board) + hooks,
        is_counted=bool(hooks),
        unicorn_instructions=counted.instructions if counted else None,
        macs=compiled.program.graph.macs,
    )
    flipped = folder / f"{board_name}-{model.stem}-flipped.elf"
    shutil.copyfile(firmware.elf, flipped)
    layer, array = flip_a_weight(flipped, compiled.program)
    op = compiled.program.layers[layer].op_name
    return right, replace(
        right,
        kind=FLIPPED,
        firmware=replace(firmware, elf=flipped),
        wanted=f"TINYGEN DIFFER {name} constants layer={layer} op={op} array={array}",
        commands=start_commands(board),
        is_counted=False,
    )


def exported_suite(case: Case, folder: Path, platform: RenodePlatform = RenodePlatform.OWN) -> tuple[Path, str]:
    """What `tinygen build` writes for a right case, with its firmware beside it: the Robot file, its test's name."""
    board = case.firmware.board
    layers = int(case.wanted.rpartition("=")[2])
    name = case.firmware.name
    for path, text in renode_files(board, Expected(name, 1, layers), platform).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    shutil.copyfile(case.firmware.elf, folder / "renode" / f"{name}.elf")
    return folder / "renode" / f"{name}.robot", f"{name} equals its reference on {board.name}"


def suite_text(cases: Sequence[Case]) -> str:
    """A Robot suite of all cases: one Renode runs them one after the other.

    Its keywords are those of the file that `tinygen build` writes, and the ones that tell the runner what was seen.
    """
    exported = renode_files(load_board("nano33"), Expected("model", 1, 1))["renode/model.robot"]
    keywords = exported.partition("*** Keywords ***\n")[2]
    return (
        "*** Settings ***\nLibrary    OperatingSystem\n\n*** Test Cases ***\n"
        + "\n".join(_test(case) for case in cases)
        + f"\n*** Keywords ***\n{keywords}{_TELLING}"
    )


def _test(case: Case) -> str:
    uart = uart_name(case.firmware.board)
    steps = [f'Load Board    "${{CURDIR}}/{case.platform}"    sysbus.{uart}    ${{CURDIR}}/{case.firmware.elf.name}']
    steps += [f"...    {command}" for command in case.commands]
    steps.append(f"{'Pass' if case.kind == RIGHT else 'Differ'}    {case.name}    {case.wanted}")
    if case.is_counted:
        steps.append(f"Tell Instructions    {case.name}")
    return "\n".join([case.name, *(f"    {step}" for step in steps), ""])


# A self-test of one input runs the model twice; the second time is counted.
_TELLING = f"""
Pass
    [Arguments]    ${{case}}    ${{wanted}}
    ${{result}}=    Wait For Result
    Log To Console    \\n{MARK} ${{case}} line ${{result}}
    Should Not Be In Log    {STRAY}
    Should Be Equal    ${{result}}    ${{wanted}}

Differ
    [Arguments]    ${{case}}    ${{wanted}}
    ${{line}}=    Wait For Line On Uart    TINYGEN (DIFFER|PASS|FAIL) .*    treatAsRegex=true
    Log To Console    \\n{MARK} ${{case}} line ${{line.Line.strip()}}
    Should Not Be In Log    {STRAY}
    Should Start With    ${{line.Line}}    ${{wanted}}

Tell Instructions
    [Arguments]    ${{case}}
    Wait For Log Entry    {END}
    ${{begin}}=    Wait For Log Entry    {BEGIN}
    Log To Console    \\n{MARK} ${{case}} log ${{begin}}
    ${{end}}=    Wait For Log Entry    {END}
    Log To Console    \\n{MARK} ${{case}} log ${{end}}
"""
