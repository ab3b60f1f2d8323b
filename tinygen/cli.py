"""The command line: one short function a command; each parses, calls, prints."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tinygen import emulate, toolchain
from tinygen.arguments import DEFAULT_INPUTS, DEFAULT_PORT_SECONDS, RENODE, Command, parser
from tinygen.attempts import measure_code
from tinygen.boards import Board, board_names, load_board
from tinygen.budgets import Resource
from tinygen.compile import Compiled, Options, compile_model
from tinygen.emulate.renode import survey as survey_renode
from tinygen.errors import MismatchError, TinygenError, UsageError
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
from tinygen.fit import check_vectors
from tinygen.ir import Reference
from tinygen.ops import OPS
from tinygen.report import tables
from tinygen.report.changes import fusion_rows
from tinygen.report.choice import choice_json, choice_rows
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
from tinygen.report.memory import memory_file, memory_map
from tinygen.report.profile import profile_json, profile_summary
from tinygen.report.progress import progress
from tinygen.report.ways import ways_json, ways_table
from tinygen.resources import resource_path
from tinygen.settings import check_instructions, choose_all, choose_model, choose_one, settle
from tinygen.tflite import read
from tinygen.validate import interpreters, port
from tinygen.validate.in_renode import validate_in_renode
from tinygen.validate.profile import profile
from tinygen.validate.run import Comparison, validate
from tinygen.validate.saved import SavedRun, load_run, save_run
from tinygen.validate.vectors import check_count, make_vectors, selftest_sources
from tinygen.ways_out import find_ways_out

INTERRUPTED = 130
DEMO_INPUTS = 4
DEFAULT_VECTORS = 1
MEMORY_MAP = "memory.txt"
NO_PLATFORMIO = "(the board has no PlatformIO ids)"
WIDTH_WITHOUT_TERMINAL = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0: good; 1: model, numbers or a budget are wrong; 2: usage or a missing tool."""
    options = parser(COMMANDS).parse_args(arguments)
    try:
        settle(options)
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
    if options.shared_arena and len(options.models) == 1:
        raise UsageError("--shared-arena: one model has nothing to share its arena with. Leave the option out.")
    choice = choose_all(options)
    choice.check()
    models, sizes = choice.taken.models, choice.taken.sizes
    options.optimize = choice.taken.optimize.value
    board = models[0].board
    kind = ProjectKind(options.export) if options.export else default_kind(board)
    inputs = DEFAULT_VECTORS if options.self_test is None else options.self_test
    check_count(inputs)
    for model in models:
        check_vectors(model, inputs)
    selftests = [selftest_sources(model, make_vectors(model, inputs)) for model in models]
    bundle = Bundle(tuple(models), tuple(selftests), options.shared_arena, inputs, sizes)
    files: dict[str, str | bytes] = {**export_project(kind, bundle), **_renode_files(bundle, options.renode_platform)}
    files[MEMORY_MAP] = memory_file([model.program for model in models])
    if options.self_test is not None:
        files |= _selftest_firmware(bundle)
    manifest = {
        **project_manifest(bundle, kind, sizes, files),
        **choice_json(choice, options.budgets, options.sources),
    }
    folder = options.output or f"{bundle.name}_{file_name(board.name)}"
    edited = write_folder(Path(folder), {**files, MANIFEST: json.dumps(manifest, indent=2) + "\n"})
    _tell_of_edits(folder, edited, kind)
    if options.json:
        _print_json(manifest)
    else:
        commands = [("next", next_command(kind, bundle, folder))]
        checks = dict.fromkeys(_validate_command(options, model) for model in options.models)
        commands += [("and", command) for command in checks]
        label = kind.value if options.export or kind is ProjectKind.PLATFORMIO else f"{kind.value} {NO_PLATFORMIO}"
        console = _console()
        console.print(tables.build_summary(bundle, sizes, folder, label, choice_rows(choice)))
        for word, command in commands:
            console.print(f"{word:8} {command}", soft_wrap=True)  # whole, whatever the width, to be copied
    return 0


def _tell_of_edits(folder: str, edited: Edited, kind: ProjectKind) -> None:
    """Warnings on standard error: which files of the user's making the build left, and which it wrote anew."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if edited.kept:
        text = "kept as you changed them; delete one and build again to have tinygen's own"
        if edited.export:
            text = (
                f"kept as you changed them, but they belong to the earlier build for {edited.export}, not to "
                f"{kind.value}; delete them and build again to have what {kind.value} needs"
            )
        console.print(f"warning: {folder}: {text}: {', '.join(edited.kept)}", style="yellow", soft_wrap=True)
    if edited.left:
        text = f"kept as you changed them, but this build for {kind.value} does not need them"
        console.print(f"warning: {folder}: {text}: {', '.join(edited.left)}", style="yellow", soft_wrap=True)
    if edited.replaced:
        text = "your changes are gone, for these files are made from the model and the board"
        console.print(f"warning: {folder}: {text}: {', '.join(edited.replaced)}", style="yellow", soft_wrap=True)


def _renode_files(bundle: Bundle, platform: str | None) -> dict[str, str]:
    """Platform, script and Robot test of every model, where Renode has the board."""
    if platform is None and not bundle.board.runs_in_renode:
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
    if options.timeout is not None and options.emulator != RENODE:
        raise UsageError(
            "validate: --timeout says how long to wait at --port or for --emulator renode, and means nothing else."
        )
    with progress(Console(stderr=True)) as show:
        if options.replay:
            saved = load_run(Path(options.replay))
            _check_replay(options, saved)
            model = read(saved.model, name=saved.settings["name"])
            choice = choose_model(model, options, Reference(saved.settings["reference"]))
            choice.check(Resource.INSTRUCTIONS)
            compiled = choice.compiled
            comparison = validate(
                compiled, emulator=options.emulator, inputs=saved.inputs, expected=saved.expected, progress=show
            )
            reproduce = _command(options, compiled, ["--replay", options.replay])
        else:
            choice = choose_one(options)
            choice.check(Resource.INSTRUCTIONS)
            compiled = choice.compiled
            inputs, seed = _inputs(options)
            if options.emulator == RENODE:
                files = {renode.platform_name(compiled.board): renode.platform_text(compiled.board)}
                seconds = options.timeout or renode.REAL_SECONDS
                comparison = validate_in_renode(
                    compiled, options.renode, files, inputs=inputs, seed=seed, timeout_s=seconds, progress=show
                )
            else:
                comparison = validate(compiled, emulator=options.emulator, inputs=inputs, seed=seed, progress=show)
            reproduce = _command(options, compiled, ["--inputs", str(inputs), "--seed", str(seed)])
    if options.save_run:
        _save(comparison, Path(options.save_run))
    if options.json:
        _print_json({**comparison_json(comparison), **choice_json(choice, options.budgets, options.sources)})
    else:
        _console().print(tables.comparison_summary(comparison, reproduce, choice_rows(choice)))
    if comparison.equal:
        choice.check()
        check_instructions(options, compiled, comparison.instructions_max)
    return 0 if comparison.equal else 1


def profile_command(options: argparse.Namespace) -> int:
    """`tinygen profile`"""
    choice = choose_one(options)
    choice.check(Resource.INSTRUCTIONS)
    with progress(Console(stderr=True)) as show:
        measured = profile(choice.compiled, emulator=options.emulator, progress=show)
    if options.json:
        _print_json({**profile_json(measured), **choice_json(choice, options.budgets, options.sources)})
    else:
        _console().print(profile_summary(measured, choice_rows(choice)))
    choice.check()
    return 0


def inspect(options: argparse.Namespace) -> int:
    """`tinygen inspect`"""
    if options.ways_out and not options.board:
        raise UsageError("inspect: --ways-out plans for a board; give --board too.")
    if (options.kernel or options.arena_memory or options.weights_memory) and not options.board:
        raise UsageError("inspect: --kernel, --arena-memory and --weights-memory choose for a board; give --board too.")
    model = read(options.model)
    choice = choose_model(model, options, Reference(options.reference)) if options.board else None
    if options.json:
        if choice is None:
            _print_json(graph_json(model))
            return 0
        ways = find_ways_out(choice, options.budgets) if choice.problem or options.ways_out else None
        _print_json(
            {
                **inspect_json(choice.compiled, choice.problem),
                **choice_json(choice, options.budgets, options.sources),
                "ways_out": None if ways is None else ways_json(ways),
            }
        )
        return 1 if choice.problem else 0
    console = _console()
    console.print(tables.model_summary(model))
    console.print(tables.graph_table(model.graph))
    if choice:
        program = choice.compiled.program
        console.print(tables.facts(fusion_rows(program.graph)))
        console.print(tables.layer_table(program))
        if program.graph.reductions:
            console.print(tables.reduction_table(program.graph))
        console.print(memory_map(program), markup=False, soft_wrap=True)
        if choice.problem or options.ways_out:
            console.print(ways_table(find_ways_out(choice, options.budgets)))
        choice.check()
        console.print(tables.fit_summary(choice.compiled, choice_rows(choice)))
    return 0


def demo(options: argparse.Namespace) -> int:
    """`tinygen demo`"""
    model = read(resource_path("examples") / options.name / f"{options.name}.tflite")
    compiled = compile_model(model, load_board(options.board))
    size = measure_code(compiled)
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
    found = [*toolchain.survey(), *emulate.survey(), *survey_renode(), *interpreters.survey(), *port.survey()]
    if options.json:
        _print_json([tool_json(tool) for tool in found])
    else:
        _console().print(tables.tool_table(found))
    return 0


def _validate_port(options: argparse.Namespace) -> int:
    """The board itself runs the self-test; its lines come over a serial port."""
    _check_port_options(options)
    with port.open_port(options.port, load_board(options.board).console.baud) as connection:
        compiled = choose_one(options).compiled  # a board may speak meanwhile
        name, layers = options.name or compiled.program.name, len(compiled.program.graph.nodes)
        with progress(Console(stderr=True)) as show:
            seconds = options.timeout or DEFAULT_PORT_SECONDS
            result = port.read_port(connection, name, timeout_s=seconds, progress=show)
    if result.layers not in (None, layers):
        raise UsageError(
            f"{options.port}: the board's {name} has {result.layers} layers, {options.model} has {layers}."
        )
    if result.passed and result.model != compiled.identity:
        raise UsageError(
            f"{options.port}: the board's {name} is of another model file or reference than {options.model}: "
            f"{result.model} instead of {compiled.identity}. Build with the same "
            "--reference and flash it again."
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
    words += ["--input", options.input] if options.input != Options().input_form.value else []
    words += ["--keep-constant-channels"] if options.keep_constant_channels else []
    words += ["--arena-memory", options.arena_memory] if options.arena_memory else []
    return words + (["--weights-memory", options.weights_memory] if options.weights_memory else [])


def _command(options: argparse.Namespace, compiled: Compiled, inputs: Sequence[str]) -> str:
    """The command that repeats this validation."""
    words = ["tinygen", "validate", *([options.model] if options.model else []), "--board", options.board]
    words += ["--emulator", options.emulator, "--reference", compiled.options.reference.value]
    words += ["--optimize", compiled.options.optimize.value, *_choices(options), *inputs]
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
