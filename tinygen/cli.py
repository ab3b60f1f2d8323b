"""The command line: one short function a command; each parses, calls, prints."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tinygen import emulate, toolchain
from tinygen.boards import Board, board_names, load_board
from tinygen.compile import Compiled, Optimize, Options, compile_model
from tinygen.errors import TinygenError, ToolError, UsageError
from tinygen.export import MANIFEST, write_folder
from tinygen.fit import check_fit
from tinygen.ir import Reference
from tinygen.ops import OPS
from tinygen.plan.picture import memory_picture
from tinygen.report import tables
from tinygen.report.manifest import (
    board_json,
    build_manifest,
    comparison_json,
    graph_json,
    op_json,
    selftest_json,
    tool_json,
)
from tinygen.report.progress import progress
from tinygen.tflite import ModelFile, read
from tinygen.validate import interpreters, port
from tinygen.validate.run import Comparison, validate
from tinygen.validate.saved import SavedRun, load_run, save_run
from tinygen.version import VERSION

DEFAULT_INPUTS = "16"
INTERRUPTED = 130
WIDTH_WITHOUT_TERMINAL = 132


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0: good; 1: model, numbers or a budget are wrong; 2: usage or a missing tool."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except TinygenError as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return error.exit_code
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; keep the interpreter's exit from flushing into the closed pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def build(options: argparse.Namespace) -> int:
    """`tinygen build`"""
    compiled = _compile(options)
    size = _measure(compiled)
    flash = size.code_bytes + size.weights_bytes if size else compiled.program.weights_bytes
    check_fit(compiled, flash, max_ram_bytes=options.max_ram, max_flash_bytes=options.max_flash)
    folder = Path(options.output or f"{compiled.program.name}_{compiled.board.name}")
    manifest = build_manifest(compiled, size)
    write_folder(folder, {**compiled.sources.files, MANIFEST: json.dumps(manifest, indent=2) + "\n"})
    if options.json:
        _print_json(manifest)
    else:
        _console().print(tables.build_summary(compiled, size, str(folder)))
    return 0


def validate_command(options: argparse.Namespace) -> int:
    """`tinygen validate`"""
    if options.port:
        return _validate_port(options)
    with progress(Console(stderr=True)) as show:
        if options.replay:
            saved = load_run(Path(options.replay))
            model = read(saved.model, name=saved.settings["name"])
            compiled = _compile_model(model, options, Reference(saved.settings["reference"]))
            comparison = validate(
                compiled, emulator=options.emulator, inputs=saved.inputs, expected=saved.expected, progress=show
            )
            reproduce = _command(options, compiled, ["--replay", options.replay])
        else:
            compiled = _compile(options)
            check_fit(compiled, compiled.program.weights_bytes)
            inputs = int(options.inputs) if options.inputs.isdecimal() else Path(options.inputs)
            comparison = validate(compiled, emulator=options.emulator, inputs=inputs, seed=options.seed, progress=show)
            reproduce = _command(options, compiled, ["--inputs", options.inputs, "--seed", str(options.seed)])
    if options.save_run:
        _save(comparison, Path(options.save_run))
    if options.json:
        _print_json(comparison_json(comparison))
    else:
        _console().print(tables.comparison_summary(comparison, reproduce))
    return 0 if comparison.equal else 1


def inspect(options: argparse.Namespace) -> int:
    """`tinygen inspect`"""
    model = read(options.model)
    compiled = _compile_model(model, options, Reference(options.reference)) if options.board else None
    if options.json:
        _print_json(build_manifest(compiled, None) if compiled else graph_json(model))
        return 0
    console = _console()
    console.print(tables.model_summary(model))
    console.print(tables.graph_table(model.graph))
    if compiled:
        names = {t.index: f"{t.describe()} {t.name}" for t in compiled.program.graph.tensors()}
        console.print(tables.layer_table(compiled.program))
        console.print(memory_picture(compiled.program.plan, names), markup=False, soft_wrap=True)
        check_fit(compiled, compiled.program.weights_bytes)
        console.print(tables.fit_summary(compiled))
    return 0


def boards(options: argparse.Namespace) -> int:
    """`tinygen boards`"""
    known: list[Board] = [load_board(name) for name in ([options.name] if options.name else board_names())]
    if options.json:
        _print_json([board_json(board) for board in known])
    else:
        _console().print(tables.board_details(known[0]) if options.name else tables.board_table(known))
    return 0


def ops(options: argparse.Namespace) -> int:
    """`tinygen ops`"""
    chosen = [op for op in OPS if options.name is None or op.name == options.name.upper()]
    if not chosen:
        raise UsageError(f"operator {options.name!r} is not supported. `tinygen ops` lists those that are.")
    if options.json:
        _print_json([op_json(op) for op in chosen])
    else:
        _console().print(tables.op_details(chosen[0]) if options.name else tables.op_table(chosen))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """`tinygen doctor`"""
    found = [*toolchain.survey(), *emulate.survey(), *interpreters.survey(), *port.survey()]
    if options.json:
        _print_json([tool_json(tool) for tool in found])
    else:
        _console().print(tables.tool_table(found))
    return 0


def _validate_port(options: argparse.Namespace) -> int:
    """The board itself runs the self-test; its lines come over a serial port."""
    if options.replay or options.save_run:
        raise UsageError("validate: --port reads what the board tells; it goes with neither --replay nor --save-run.")
    compiled = _compile(options)
    name, layers = compiled.program.name, len(compiled.program.graph.nodes)
    with progress(Console(stderr=True)) as show:
        result = port.read_port(
            options.port, name, baud=compiled.board.console.baud, timeout_s=options.timeout, progress=show
        )
    if result.layers not in (None, layers):
        raise UsageError(
            f"{options.port}: the board's {name} has {result.layers} layers, {options.model} has {layers}."
        )
    if options.json:
        _print_json(selftest_json(name, options.board, result))
    else:
        _console().print("\n".join(result.lines))
    return 0 if result.passed else 1


def _compile(options: argparse.Namespace) -> Compiled:
    if options.model is None:
        raise UsageError("validate: a model is missing. Give a .tflite file, or --replay FILE.")
    return _compile_model(read(options.model), options, Reference(options.reference))


def _compile_model(model: ModelFile, options: argparse.Namespace, reference: Reference) -> Compiled:
    chosen = Options(reference=reference, optimize=Optimize(options.optimize))
    if getattr(options, "name", None):
        chosen = replace(chosen, name=options.name)
    return compile_model(model, load_board(options.board), chosen)


def _measure(compiled: Compiled) -> toolchain.CodeSize | None:
    """Sizes by the compiler, or None where there is none, or nothing to read what it makes."""
    if toolchain.elf_reader_version() is None:
        return None
    try:
        found = toolchain.find_toolchain(compiled.board.target)
    except ToolError:
        return None
    sources = compiled.sources
    return toolchain.measure(sources.files, sources.name, compiled.board.target, found)


def _save(comparison: Comparison, path: Path) -> None:
    compiled = comparison.compiled
    settings = {"name": compiled.program.graph.name, "reference": compiled.options.reference.value}
    save_run(path, SavedRun(compiled.model.data, settings, comparison.inputs, comparison.expected))


def _command(options: argparse.Namespace, compiled: Compiled, inputs: Sequence[str]) -> str:
    """The command that repeats this validation."""
    words = ["tinygen", "validate", *([options.model] if options.model else []), "--board", options.board]
    words += ["--emulator", options.emulator, "--reference", compiled.options.reference.value]
    words += ["--optimize", options.optimize, *inputs]
    return shlex.join(words)


def _console() -> Console:
    """Standard output, as plain text: names from a model are no markup. In a pipe wide enough that no table folds."""
    return Console(
        highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    )


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinygen", description="int8 TFLite models to standalone C, proved equal to Python on every tensor."
    )
    parser.add_argument("--version", action="version", version=f"tinygen {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    compiling = argparse.ArgumentParser(add_help=False)
    compiling.add_argument(
        "--optimize",
        choices=[o.value for o in Optimize],
        default=Optimize.BALANCED.value,
        help="what to weigh most where a layer has several kernels (default: balanced)",
    )
    compiling.add_argument(
        "--reference",
        choices=[r.value for r in Reference],
        default=Reference.LITERT.value,
        help="the Python interpreter that defines the right answer (default: litert)",
    )
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print JSON for machines")
    board = argparse.ArgumentParser(add_help=False)
    board.add_argument("--board", required=True, help="a name from `tinygen boards`, or your own TOML file")

    command = commands.add_parser("build", parents=[board, compiling, as_json], help="write C for a board")
    command.add_argument("model", metavar="MODEL", help="an int8 .tflite file")
    command.add_argument("-o", "--output", metavar="DIR", help="the folder to write (default: NAME_BOARD)")
    command.add_argument("--name", help="the prefix of all C names (default: from the file's name)")
    command.add_argument("--max-ram", type=_size, metavar="BYTES", help="fail when the arena is larger")
    command.add_argument("--max-flash", type=_size, metavar="BYTES", help="fail when weights and code are larger")
    command.set_defaults(command=build)

    command = commands.add_parser(
        "validate", parents=[board, compiling, as_json], help="run in an emulator and compare every layer with Python"
    )
    command.add_argument("model", metavar="MODEL", nargs="?", help="an int8 .tflite file")
    command.add_argument(
        "--emulator", choices=["auto", *(e.name for e in emulate.EMULATORS)], default="auto", help="default: auto"
    )
    command.add_argument(
        "--inputs",
        default=DEFAULT_INPUTS,
        metavar="N|FILE.npz",
        help="how many random inputs besides the corners, or your own (default: 16)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    command.add_argument("--save-run", metavar="FILE.npz", help="save model, inputs and expected tensors")
    command.add_argument("--replay", metavar="FILE.npz", help="run what --save-run saved, without an interpreter")
    command.add_argument("--name", help="the --name that the model was built with")
    command.add_argument("--port", metavar="PORT", help="read a real board's self-test from this serial port instead")
    command.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="how long to wait at the port (default: 60)"
    )
    command.set_defaults(command=validate_command)

    command = commands.add_parser(
        "inspect", parents=[compiling, as_json], help="show a model, and how it lies in memory"
    )
    command.add_argument("model", metavar="MODEL", help="an int8 .tflite file")
    command.add_argument("--board", help="also show kernels, memory map and what fits")
    command.set_defaults(command=inspect)

    for name, function, text in (
        ("boards", boards, "list the boards, or show one"),
        ("ops", ops, "list the operators, or show what one demands"),
    ):
        command = commands.add_parser(name, parents=[as_json], help=text)
        command.add_argument("name", metavar="NAME", nargs="?")
        command.set_defaults(command=function)
    command = commands.add_parser("doctor", parents=[as_json], help="what is installed, and how to get the rest")
    command.set_defaults(command=doctor)
    return parser


def _seconds(text: str) -> float:
    """A time that comes to an end."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, such as 60")
    return seconds


def _size(text: str) -> int:
    """Bytes, with K or M for multiples of 1024."""
    scale = {"k": 1 << 10, "m": 1 << 20}.get(text[-1:].lower(), 1)
    digits = text[:-1] if scale > 1 else text
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes, such as 65536 or 64K")
    return int(digits) * scale
