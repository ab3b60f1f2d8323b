"""The command line: one short function a command; each parses, calls, prints."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tinygen import emulate, toolchain
from tinygen.arguments import DEFAULT_INPUTS, DEFAULT_PORT_SECONDS, RENODE, Command, parser
from tinygen.boards import Board, board_names, load_board
from tinygen.compile import Compiled, ConstantChannels, Options, compile_model
from tinygen.errors import MismatchError, TinygenError, ToolError, UsageError
from tinygen.export import (
    MANIFEST,
    Bundle,
    Edited,
    ProjectKind,
    default_kind,
    export_project,
    next_command,
    renode,
    write_folder,
)
from tinygen.export.render import file_name
from tinygen.fit import check_fit, check_fit_together, check_vectors, fit_problem
from tinygen.ir import Reference
from tinygen.kernels import Optimize
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
from tinygen.toolchain.elf import INSTALL as INSTALL_ELF_READER
from tinygen.validate import interpreters, port
from tinygen.validate.in_renode import validate_in_renode
from tinygen.validate.profile import profile
from tinygen.validate.run import Comparison, validate
from tinygen.validate.saved import SavedRun, load_run, save_run
from tinygen.validate.vectors import check_count, make_vectors, selftest_sources

INTERRUPTED = 130
DEMO_INPUTS = 4
DEFAULT_VECTORS = 1
NO_PLATFORMIO = "(the board has no PlatformIO ids)"
WIDTH_WITHOUT_TERMINAL = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0: good; 1: model, numbers or a budget are wrong; 2: usage or a missing tool."""
    options = parser(COMMANDS).parse_args(arguments)
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
    inputs = DEFAULT_VECTORS if options.self_test is None else options.self_test
    check_count(inputs)
    for model in models:  # before anything of the model's size is computed
        check_fit(model, model.program.weights_bytes, max_ram_bytes=options.max_ram, max_flash_bytes=options.max_flash)
        check_vectors(model, inputs)
    sizes = [_measure(compiled) for compiled in models]
    if options.max_flash is not None:
        _check_measured(board, sizes)
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
    edited = write_folder(Path(folder), {**files, MANIFEST: json.dumps(manifest, indent=2) + "\n"})
    _tell_of_edits(folder, edited)
    if options.json:
        _print_json(manifest)
    else:
        commands = [("next", next_command(kind, bundle, folder))]
        commands += [("and", _validate_command(options, model)) for model in options.models]
        label = kind.value if options.export or kind is ProjectKind.PLATFORMIO else f"{kind.value} {NO_PLATFORMIO}"
        console = _console()
        console.print(tables.build_summary(bundle, sizes, folder, label))
        for word, command in commands:
            console.print(f"{word:8} {command}", soft_wrap=True)  # whole, whatever the width, to be copied
    return 0


def _tell_of_edits(folder: str, edited: Edited) -> None:
    """Warnings on standard error: which files of the user's making the build left, and which it wrote anew."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if edited.kept:
        text = "kept as you changed them; delete one and build again to have tinygen's own"
        console.print(f"warning: {folder}: {text}: {', '.join(edited.kept)}", style="yellow", soft_wrap=True)
    if edited.replaced:
        text = "your changes are gone, for these files are made from the model and the board"
        console.print(f"warning: {folder}: {text}: {', '.join(edited.replaced)}", style="yellow", soft_wrap=True)


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
    if options.timeout is not None:
        raise UsageError("validate: --timeout says how long to wait at --port; without a port it means nothing.")
    with progress(Console(stderr=True)) as show:
        if options.replay:
            saved = load_run(Path(options.replay))
            _check_replay(options, saved)
            model = read(saved.model, name=saved.settings["name"])
            compiled = _compile_model(model, options, Reference(saved.settings["reference"]))
            check_fit(compiled, compiled.program.weights_bytes)
            comparison = validate(
                compiled, emulator=options.emulator, inputs=saved.inputs, expected=saved.expected, progress=show
            )
            reproduce = _command(options, compiled, ["--replay", options.replay])
        else:
            compiled = _compile(options)
            check_fit(compiled, compiled.program.weights_bytes)
            inputs, seed = _inputs(options)
            if options.emulator == RENODE:
                files = {f"{compiled.board.name}.repl": renode.platform_text(compiled.board)}
                comparison = validate_in_renode(
                    compiled, options.renode, files, inputs=inputs, seed=seed, progress=show
                )
            else:
                comparison = validate(compiled, emulator=options.emulator, inputs=inputs, seed=seed, progress=show)
            reproduce = _command(options, compiled, ["--inputs", str(inputs), "--seed", str(seed)])
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
    if options.kernel and not options.board:
        raise UsageError("inspect: --kernel chooses for a board; give --board too.")
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
        if compiled.program.graph.reductions:
            console.print(tables.reduction_table(compiled.program.graph))
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
    _check_port_options(options)
    compiled = _compile(options)
    name, layers = options.name or compiled.program.name, len(compiled.program.graph.nodes)
    with progress(Console(stderr=True)) as show:
        result = port.read_port(
            options.port,
            name,
            baud=compiled.board.console.baud,
            timeout_s=options.timeout or DEFAULT_PORT_SECONDS,
            progress=show,
        )
    if result.layers not in (None, layers):
        raise UsageError(
            f"{options.port}: the board's {name} has {result.layers} layers, {options.model} has {layers}."
        )
    if options.json:
        _print_json(selftest_json(name, options.board, result))
    else:
        _console().print("\n".join(result.lines))
    if result.contradicts_itself:
        raise MismatchError(
            f"{options.port}: the last line says PASS, but something differed before it. Did the board restart in "
            "between? Run it again."
        )
    return 0 if result.passed else 1


def _check_port_options(options: argparse.Namespace) -> None:
    """What is of an emulated run is refused beside a port, instead of ignored."""
    given = {
        "--replay": options.replay,
        "--save-run": options.save_run,
        "--inputs": options.inputs is not None,
        "--seed": options.seed is not None,
        "--renode": options.renode,
        "--emulator": options.emulator != "auto",
    }
    refused = [option for option, is_given in given.items() if is_given]
    if refused:
        raise UsageError(f"validate: --port reads what the board tells; leave {' and '.join(refused)} out.")


def _compile_all(options: argparse.Namespace) -> list[Compiled]:
    """The models of `build`, each with its --name where names are given."""
    names: list[str | None] = list(options.name or [None] * len(options.models))
    if len(names) != len(options.models):
        raise UsageError(
            f"--name was given {len(names)} times for {len(options.models)} models. Give it once for each model, in "
            "their order, or leave it out: then the files' names count."
        )
    board, chosen = load_board(options.board), _options(options, Reference(options.reference))
    if chosen.kernels and len(names) > 1:
        raise UsageError("--kernel speaks of one model's layers. Build the models one by one, or leave it out.")
    return [
        compile_model(read(path), board, replace(chosen, name=name))
        for path, name in zip(options.models, names, strict=True)
    ]


def _options(options: argparse.Namespace, reference: Reference) -> Options:
    kernels: dict[int, str] = {}
    for layer, name in options.kernel or ():
        if kernels.setdefault(layer, name) != name:
            raise UsageError(f"--kernel names two kernels for layer {layer}: {kernels[layer]} and {name}.")
    return Options(
        reference=reference,
        optimize=Optimize(options.optimize),
        kernels=kernels,
        constant_channels=ConstantChannels.KEEP if options.keep_constant_channels else ConstantChannels.DROP,
    )


def _inputs(options: argparse.Namespace) -> tuple[int | Path, int]:
    """The number or file of inputs, and the seed of random ones."""
    if isinstance(options.inputs, str):
        if options.seed is not None:
            raise UsageError("validate: --seed is of random inputs; leave it out where --inputs names a file.")
        return Path(options.inputs), 0
    return (DEFAULT_INPUTS if options.inputs is None else options.inputs), options.seed or 0


def _check_replay(options: argparse.Namespace, saved: SavedRun) -> None:
    """A saved run brings model, inputs and reference; refuse others beside it instead of ignoring them."""
    if options.model is not None:
        raise UsageError(f"validate: --replay runs the model that is saved in it; leave {options.model} out.")
    if options.inputs is not None or options.seed is not None:
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


def _check_measured(board: Board, sizes: Sequence[toolchain.CodeSize | None]) -> None:
    """Raise ToolError when a budget of flash cannot be checked, because nothing here tells the code's size."""
    if None not in sizes:
        return
    try:
        toolchain.find_toolchain(board.target)
        reason = f"pyelftools, which measures it, is not installed: {INSTALL_ELF_READER}; see `tinygen doctor`."
    except ToolError as error:
        reason = str(error)
    raise ToolError(
        f"--max-flash cannot be checked: it is of weights and code, and the code's size is unknown. {reason} "
        "Nothing was written."
    )


def _save(comparison: Comparison, path: Path) -> None:
    compiled = comparison.compiled
    settings = {"name": compiled.program.graph.name, "reference": compiled.options.reference.value}
    save_run(path, SavedRun(compiled.model.data, settings, comparison.inputs, comparison.expected))


def _validate_command(options: argparse.Namespace, model: str) -> str:
    """The command that validates what was just built."""
    words = ["tinygen", "validate", model, "--board", options.board]
    default = Options()
    words += ["--reference", options.reference] if options.reference != default.reference.value else []
    words += ["--optimize", options.optimize] if options.optimize != default.optimize.value else []
    return shlex.join([*words, *_choices(options)])


def _choices(options: argparse.Namespace) -> list[str]:
    """The options that change the code besides --optimize, as they were given."""
    words = [word for layer, name in options.kernel or () for word in ("--kernel", f"{layer}={name}")]
    return words + (["--keep-constant-channels"] if options.keep_constant_channels else [])


def _command(options: argparse.Namespace, compiled: Compiled, inputs: Sequence[str]) -> str:
    """The command that repeats this validation."""
    words = ["tinygen", "validate", *([options.model] if options.model else []), "--board", options.board]
    words += ["--emulator", options.emulator, "--reference", compiled.options.reference.value]
    words += ["--optimize", options.optimize, *_choices(options), *inputs]
    return shlex.join(words)


def _console() -> Console:
    """Standard output, as plain text: names from a model are no markup. In a pipe wide enough that no table folds."""
    return Console(
        highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    )


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


COMMANDS: dict[str, Command] = {
    "build": build,
    "validate": validate_command,
    "profile": profile_command,
    "inspect": inspect,
    "demo": demo,
    "boards": boards,
    "ops": ops,
    "doctor": doctor,
}
