"""The command line: one short function a command; each parses, calls, prints."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tinygen import emulate, toolchain
from tinygen.boards import Board, board_names, load_board
from tinygen.compile import Compiled, Optimize, Options, compile_model
from tinygen.errors import TinygenError, ToolError, UsageError
from tinygen.export import (
    MANIFEST,
    Bundle,
    ProjectKind,
    default_kind,
    export_project,
    next_command,
    renode,
    write_folder,
)
from tinygen.export.render import file_name
from tinygen.fit import check_fit, check_fit_together, fit_problem
from tinygen.ir import Reference
from tinygen.ops import OPS
from tinygen.plan.picture import memory_picture
from tinygen.report import tables
from tinygen.report.demo import EXAMPLES, demo_summary
from tinygen.report.manifest import (
    board_json,
    comparison_json,
    graph_json,
    inspect_json,
    op_json,
    project_manifest,
    selftest_json,
    tool_json,
)
from tinygen.report.profile import profile_json, profile_summary
from tinygen.report.progress import progress
from tinygen.resources import resource_path
from tinygen.tflite import ModelFile, read
from tinygen.validate import interpreters, port
from tinygen.validate.in_renode import validate_in_renode
from tinygen.validate.profile import profile
from tinygen.validate.run import Comparison, validate
from tinygen.validate.saved import SavedRun, load_run, save_run
from tinygen.validate.vectors import make_vectors, selftest_sources
from tinygen.version import VERSION

DEFAULT_INPUTS = "16"
INTERRUPTED = 130
DEMO_INPUTS = 4
DEFAULT_VECTORS = 1
RENODE = "renode"
NO_PLATFORMIO = "(the board has no PlatformIO ids)"
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
    models = _compile_all(options)
    board = models[0].board
    kind = ProjectKind(options.export) if options.export else default_kind(board)
    sizes = [_measure(compiled) for compiled in models]
    inputs = DEFAULT_VECTORS if options.self_test is None else options.self_test
    selftests = [selftest_sources(model, make_vectors(model, inputs)) for model in models]
    bundle = Bundle(tuple(models), tuple(selftests), options.shared_arena, inputs)
    check_fit_together(
        models,
        [s.code_bytes + s.weights_bytes if s else m.program.weights_bytes for m, s in zip(models, sizes, strict=True)],
        bundle.arena_bytes,
        max_ram_bytes=options.max_ram,
        max_flash_bytes=options.max_flash,
    )
    files: dict[str, str | bytes] = {**export_project(kind, bundle), **_renode_files(bundle, options.renode_platform)}
    if options.self_test is not None:
        files |= _selftest_firmware(bundle)
    manifest = project_manifest(bundle, kind, sizes, files)
    folder = options.output or f"{bundle.name}_{file_name(board.name)}"
    write_folder(Path(folder), {**files, MANIFEST: json.dumps(manifest, indent=2) + "\n"})
    if options.json:
        _print_json(manifest)
    else:
        check = shlex.join(["tinygen", "validate", options.models[0], "--board", options.board])
        commands = [("next", next_command(kind, bundle, folder)), ("and", check)]
        label = kind.value if options.export or kind is ProjectKind.PLATFORMIO else f"{kind.value} {NO_PLATFORMIO}"
        _console().print(tables.build_summary(bundle, sizes, folder, label, commands))
    return 0


def _renode_files(bundle: Bundle, platform: str | None) -> dict[str, str]:
    """Platform, script and Robot test of every model, where Renode has the board."""
    if platform is None and not renode.supports(bundle.board):
        return {}
    chosen = renode.RenodePlatform(platform or renode.RenodePlatform.OWN.value)
    files: dict[str, str] = {}
    for model in bundle.models:
        expected = renode.Expected(model.program.name, bundle.inferences, len(model.program.layers))
        files |= renode.renode_files(bundle.board, expected, chosen)
    return files


def _selftest_firmware(bundle: Bundle) -> dict[str, bytes]:
    """The bare-metal firmware of every model, which Renode, QEMU and the board itself run."""
    firmwares = {}
    for model, selftest in zip(bundle.models, bundle.selftests, strict=True):
        name = model.program.name
        with tempfile.TemporaryDirectory(prefix="tinygen-") as folder:
            built = toolchain.build_selftest({**model.sources.files, **selftest}, name, bundle.board, Path(folder))
            firmwares[f"{renode.FOLDER}/{renode.elf_name(name)}"] = built.elf.read_bytes()
    return firmwares


def validate_command(options: argparse.Namespace) -> int:
    """`tinygen validate`"""
    if options.port is not None:
        return _validate_port(options)
    if options.renode is not None and options.emulator != RENODE:
        raise UsageError("validate: --renode names Renode's program; it goes with --emulator renode.")
    if options.replay and options.emulator == RENODE:
        raise UsageError("validate: --replay compares values, which Renode does not show; choose another --emulator.")
    if options.name:
        raise UsageError("validate: --name says whose lines to read at --port; without a port it means nothing.")
    with progress(Console(stderr=True)) as show:
        if options.replay:
            saved = load_run(Path(options.replay))
            _check_replay(options, saved)
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
            if options.emulator == RENODE:
                files = {f"{compiled.board.name}.repl": renode.platform_text(compiled.board)}
                comparison = validate_in_renode(
                    compiled, options.renode, files, inputs=inputs, seed=options.seed, progress=show
                )
            else:
                comparison = validate(
                    compiled, emulator=options.emulator, inputs=inputs, seed=options.seed, progress=show
                )
            reproduce = _command(options, compiled, ["--inputs", options.inputs, "--seed", str(options.seed)])
    if options.save_run:
        _save(comparison, Path(options.save_run))
    if options.json:
        _print_json(comparison_json(comparison))
    else:
        _console().print(tables.comparison_summary(comparison, reproduce))
    return 0 if comparison.equal else 1


def profile_command(options: argparse.Namespace) -> int:
    """`tinygen profile`"""
    compiled = _compile(options)
    check_fit(compiled, compiled.program.weights_bytes)
    with progress(Console(stderr=True)) as show:
        measured = profile(compiled, emulator=options.emulator, progress=show)
    if options.json:
        _print_json(profile_json(measured))
    else:
        _console().print(profile_summary(measured))
    return 0


def inspect(options: argparse.Namespace) -> int:
    """`tinygen inspect`"""
    model = read(options.model)
    compiled = _compile_model(model, options, Reference(options.reference)) if options.board else None
    if options.json:
        _print_json(inspect_json(compiled) if compiled else graph_json(model))
        return 0 if compiled is None or fit_problem(compiled) is None else 1
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


def demo(options: argparse.Namespace) -> int:
    """`tinygen demo`"""
    model = read(resource_path("examples") / options.name / f"{options.name}.tflite")
    compiled = compile_model(model, load_board(options.board))
    size = _measure(compiled)
    with progress(Console(stderr=True)) as show:
        comparison = validate(compiled, inputs=DEMO_INPUTS, progress=show)
    _console().print(demo_summary(EXAMPLES[options.name], compiled, size, comparison))
    return 0 if comparison.equal else 1


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
    name, layers = options.name or compiled.program.name, len(compiled.program.graph.nodes)
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


def _compile_all(options: argparse.Namespace) -> list[Compiled]:
    """The models of `build`, each with its --name where names are given."""
    names: list[str | None] = list(options.name or [None] * len(options.models))
    if len(names) != len(options.models):
        raise UsageError(
            f"--name was given {len(names)} times for {len(options.models)} models. Give it once for each model, in "
            "their order, or leave it out: then the files' names count."
        )
    board, chosen = load_board(options.board), _options(options, Reference(options.reference))
    return [
        compile_model(read(path), board, replace(chosen, name=name))
        for path, name in zip(options.models, names, strict=True)
    ]


def _options(options: argparse.Namespace, reference: Reference) -> Options:
    return Options(reference=reference, optimize=Optimize(options.optimize))


def _check_replay(options: argparse.Namespace, saved: SavedRun) -> None:
    """A saved run brings model, inputs and reference; refuse others beside it instead of ignoring them."""
    if options.model is not None:
        raise UsageError(f"validate: --replay runs the model that is saved in it; leave {options.model} out.")
    if options.inputs != DEFAULT_INPUTS or options.seed != 0:
        raise UsageError("validate: --replay brings its own inputs; leave --inputs and --seed out.")
    wanted = saved.settings["reference"]
    if options.reference not in (Reference.LITERT.value, wanted):
        raise UsageError(f"validate: the saved run follows {wanted}, not {options.reference}; leave --reference out.")


def _compile(options: argparse.Namespace) -> Compiled:
    if options.model is None:
        raise UsageError("validate: a model is missing. Give a .tflite file, or --replay FILE.")
    return _compile_model(read(options.model), options, Reference(options.reference))


def _compile_model(model: ModelFile, options: argparse.Namespace, reference: Reference) -> Compiled:
    return compile_model(model, load_board(options.board), _options(options, reference))


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
        help="what to weigh most where a layer has several kernels; today each has one, so that it changes nothing",
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

    command = commands.add_parser("build", parents=[board, compiling, as_json], help="write a project for a board")
    command.add_argument("models", metavar="MODEL", nargs="+", help="an int8 .tflite file; several go into one project")
    command.add_argument("-o", "--output", metavar="DIR", help="the folder to write (default: NAME_BOARD)")
    command.add_argument(
        "--name", action="append", help="the prefix of all C names (default: from the file's name); one for each MODEL"
    )
    command.add_argument(
        "--export",
        choices=[kind.value for kind in ProjectKind],
        help="the build system (default: platformio, or cmake where the board has no PlatformIO ids)",
    )
    command.add_argument(
        "--self-test",
        type=int,
        metavar="N",
        help="embed N inputs in the self-test (default: 1), and build the bare-metal firmware that runs it",
    )
    command.add_argument(
        "--renode-platform",
        choices=[p.value for p in renode.RenodePlatform],
        help="the platform file for Renode: tinygen's own (default), or the one that comes with Renode",
    )
    command.add_argument(
        "--shared-arena", action="store_true", help="one arena for several models, which then take turns"
    )
    command.add_argument("--max-ram", type=_size, metavar="BYTES", help="fail when the arena is larger")
    command.add_argument("--max-flash", type=_size, metavar="BYTES", help="fail when weights and code are larger")
    command.set_defaults(command=build)

    command = commands.add_parser(
        "validate", parents=[board, compiling, as_json], help="run in an emulator and compare every layer with Python"
    )
    command.add_argument("model", metavar="MODEL", nargs="?", help="an int8 .tflite file")
    command.add_argument(
        "--emulator",
        choices=["auto", *(e.name for e in emulate.EMULATORS), RENODE],
        default="auto",
        help="default: auto; renode runs the self-test firmware on the whole board",
    )
    command.add_argument("--renode", metavar="PATH", help="Renode's program, where it is not on the PATH")
    command.add_argument(
        "--inputs",
        default=DEFAULT_INPUTS,
        metavar="N|FILE.npz",
        help="how many random inputs besides the corners, or your own (default: 16)",
    )
    command.add_argument("--seed", type=_seed, default=0, help="of the random inputs (default: 0)")
    command.add_argument("--save-run", metavar="FILE.npz", help="save model, inputs and expected tensors")
    command.add_argument("--replay", metavar="FILE.npz", help="run what --save-run saved, without an interpreter")
    command.add_argument("--name", help="with --port: the --name that the model was built with")
    command.add_argument("--port", metavar="PORT", help="read a real board's self-test from this serial port instead")
    command.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="how long to wait at the port (default: 60)"
    )
    command.set_defaults(command=validate_command)

    command = commands.add_parser(
        "profile", parents=[board, compiling, as_json], help="count the instructions of one inference, layer by layer"
    )
    command.add_argument("model", metavar="MODEL", help="an int8 .tflite file")
    command.add_argument(
        "--emulator",
        choices=["auto", *(e.name for e in emulate.EMULATORS if e.name != "host")],
        default="auto",
        help="default: auto",
    )
    command.set_defaults(command=profile_command)

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
    command = commands.add_parser("demo", help="build and validate a model that comes with tinygen")
    command.add_argument("name", metavar="NAME", nargs="?", choices=EXAMPLES, default="kws", help=", ".join(EXAMPLES))
    command.add_argument("--board", default="nano33", help="default: nano33")
    command.set_defaults(command=demo)
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


def _seed(text: str) -> int:
    """A number that a random generator takes."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _size(text: str) -> int:
    """Bytes, with K or M for multiples of 1024."""
    scale = {"k": 1 << 10, "m": 1 << 20}.get(text[-1:].lower(), 1)
    digits = text[:-1] if scale > 1 else text
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes, such as 65536 or 64K")
    return int(digits) * scale
