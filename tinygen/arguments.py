"""The command line's arguments: what each command takes, and what is checked while they are read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping

from tinygen import emulate
from tinygen.budgets import Resource, parse_bytes, parse_count
from tinygen.compile import InputForm
from tinygen.config import FILE_NAME
from tinygen.export import ProjectKind, renode
from tinygen.ir import Reference
from tinygen.kernels import Optimize
from tinygen.report.demo import EXAMPLES
from tinygen.version import VERSION

Command = Callable[[argparse.Namespace], int]

DEFAULT_INPUTS = 16
MOST_INPUTS = 10_000
DEFAULT_PORT_SECONDS = 60.0
RENODE = "renode"


def parser(run: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of all commands; `run` has the function of each, by its name."""
    top = argparse.ArgumentParser(
        prog="tinygen", description="int8 TFLite models to standalone C, proved equal to Python on every tensor."
    )
    top.add_argument("--version", action="version", version=f"tinygen {VERSION}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    compiling = argparse.ArgumentParser(add_help=False)
    compiling.add_argument(
        "--optimize",
        choices=[o.value for o in Optimize],
        help="what to weigh most where several kernels suit a layer (default: balanced)",
    )
    compiling.add_argument(
        "--kernel",
        type=_layer_kernel,
        action="append",
        metavar="LAYER=NAME",
        help="the kernel of a layer, by its index as profile shows it; may be given for several layers",
    )
    compiling.add_argument(
        "--reference",
        choices=[r.value for r in Reference],
        help="the Python interpreter that defines the right answer (default: litert)",
    )
    compiling.add_argument(
        "--input",
        choices=[form.value for form in InputForm],
        help="how the caller gives the input: whole in the arena (default), or row by row, so that it never is whole",
    )
    compiling.add_argument(
        "--keep-constant-channels",
        action="store_true",
        help="compute channels that hold one value for every input, which are otherwise left out",
    )
    compiling.add_argument(
        "--arena-memory", metavar="NAME", help="the memory of the board that takes the arena (default: its first RAM)"
    )
    compiling.add_argument(
        "--weights-memory", metavar="NAME", help="a memory for the constants that are read most often, as many as fit"
    )
    file = compiling.add_mutually_exclusive_group()
    file.add_argument("--config", metavar="FILE", help=f"settings and budgets (default: {FILE_NAME} beside the model)")
    file.add_argument("--no-config", action="store_true", help=f"leave {FILE_NAME} beside the model unread")
    for resource, unit, text in (
        (Resource.RAM, "BYTES", "the arena is larger"),
        (Resource.FLASH, "BYTES", "weights and code are larger"),
        (Resource.STACK, "BYTES", "one inference may need more stack"),
        (Resource.INSTRUCTIONS, "COUNT", "one inference takes more instructions, counted in emulation"),
    ):
        kind = _count if unit == "COUNT" else _size
        compiling.add_argument(
            resource.option, type=kind, metavar=unit, help=f"try other --optimize, then fail, when {text}"
        )
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print JSON for machines")
    board = argparse.ArgumentParser(add_help=False)
    board.add_argument("--board", help=f"a name from `tinygen boards`, or your own TOML file; {FILE_NAME} can name it")
    board.set_defaults(board_required=True)

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
        help="the platform file for Renode: tinygen's own (default), or stock: the one that comes with Renode, which "
        "fetches a file from the network each time; where the board's description names one",
    )
    command.add_argument(
        "--shared-arena", action="store_true", help="one arena for several models, which then take turns"
    )
    command.set_defaults(command=run["build"])

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
        type=_inputs,
        metavar="N|FILE.npz",
        help=f"how many random inputs besides the corners, or your own (default: {DEFAULT_INPUTS})",
    )
    command.add_argument("--seed", type=_seed, help="of the random inputs (default: 0)")
    command.add_argument("--save-run", metavar="FILE.npz", help="save model, inputs and expected tensors")
    command.add_argument("--replay", metavar="FILE.npz", help="run what --save-run saved, without an interpreter")
    command.add_argument("--name", help="with --port: the --name that the model was built with")
    command.add_argument("--port", metavar="PORT", help="read a real board's self-test from this serial port instead")
    command.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help=f"how long to wait at the --port (default: {DEFAULT_PORT_SECONDS:g}), or for --emulator renode (default: "
        f"{renode.REAL_SECONDS})",
    )
    command.set_defaults(command=run["validate"])

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
    command.set_defaults(command=run["profile"])

    command = commands.add_parser(
        "inspect", parents=[compiling, as_json], help="show a model, and how it lies in memory"
    )
    command.add_argument("model", metavar="MODEL", help="an int8 .tflite file")
    command.add_argument("--board", help="also show kernels, memory map and what fits")
    command.add_argument(
        "--ways-out", action="store_true", help="plan smaller variants of the model, even where it fits as it is"
    )
    command.set_defaults(command=run["inspect"], board_required=False)

    for name, text in (
        ("boards", "list the boards, or show one"),
        ("ops", "list the operators, or show what one demands"),
    ):
        command = commands.add_parser(name, parents=[as_json], help=text)
        command.add_argument("name", metavar="NAME", nargs="?")
        command.set_defaults(command=run[name])
    command = commands.add_parser("demo", help="build and validate a model that comes with tinygen")
    command.add_argument("name", metavar="NAME", nargs="?", choices=EXAMPLES, default="kws", help=", ".join(EXAMPLES))
    command.add_argument("--board", default="nano33", help="default: nano33")
    command.set_defaults(command=run["demo"])
    command = commands.add_parser("doctor", parents=[as_json], help="what is installed, and how to get the rest")
    command.set_defaults(command=run["doctor"])
    return top


def _layer_kernel(text: str) -> tuple[int, str]:
    """A layer's index and the kernel it shall have."""
    layer, equals, name = text.partition("=")
    if not (layer.isascii() and layer.isdecimal() and equals and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not LAYER=NAME, such as 3=conv2d_s8__c")
    return int(layer), name


def _seconds(text: str) -> float:
    """A time that comes to an end."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, such as 60")
    return seconds


def _inputs(text: str) -> int | str:
    """A number of inputs, or the name of a file."""
    if text.lstrip("-").isdecimal():
        if not (text.isascii() and text.isdecimal()) or int(text) > MOST_INPUTS:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of inputs from 0 to {MOST_INPUTS}")
        return int(text)
    if not text:
        raise argparse.ArgumentTypeError("a number of inputs or the name of an .npz file is expected")
    return text


def _seed(text: str) -> int:
    """A number that a random generator takes."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _size(text: str) -> int:
    """Bytes, with K or M for multiples of 1024."""
    try:
        return parse_bytes(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes, such as 65536 or 64K") from None


def _count(text: str) -> int:
    """How often something may happen."""
    try:
        return parse_count(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, such as 3000000") from None
