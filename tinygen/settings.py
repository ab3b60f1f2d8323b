"""The options of one command, from the command line, tinygen.toml or defaults, and the models they make."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from tinygen.attempts import Choice, Measure, choose
from tinygen.boards import load_board
from tinygen.budgets import Budget, Budgets, Resource
from tinygen.compile import Compiled, ConstantChannels, InputForm, Options
from tinygen.config import EMPTY, FILE_NAME, Config, find_config, read_config
from tinygen.errors import DoesNotFitError, UsageError
from tinygen.ir import Reference
from tinygen.kernels import Optimize
from tinygen.tflite import ModelFile, read

COMMAND_LINE = "command line"
DEFAULT = "default"
DEFAULTS: Mapping[str, str] = {
    "optimize": Optimize.BALANCED.value,
    "reference": Reference.LITERT.value,
    "input": InputForm.WHOLE.value,
}

NOT_COUNTING = ("host", "renode")
"""Emulators that run the code, but do not count the board's instructions."""

_MEMORIES = ("arena_memory", "weights_memory")
_KEYS = ("board", "optimize", "reference", "export", "input", *_MEMORIES, *(resource.value for resource in Resource))


def settle(options: argparse.Namespace) -> None:
    """Fill in what the command line left out, in place.

    Adds `sources` (key → where its value comes from), `budgets`, and `c_name`, the C name that the file gives.
    Commands without --config are left alone. Raises UsageError for a file that is wrong, or an option that is missing.
    """
    if not hasattr(options, "config"):
        return
    config = _config(options)
    sources: dict[str, str] = {}
    for key in _KEYS:
        if getattr(options, key, None) is not None:
            sources[key] = COMMAND_LINE
        elif key in config.values:
            setattr(options, key, config.values[key])
            sources[key] = config.name
        elif key in DEFAULTS:
            setattr(options, key, DEFAULTS[key])
            sources[key] = DEFAULT
    options.c_name = config.values.get("name")
    if getattr(options, "name", None):
        sources["name"] = COMMAND_LINE
    elif options.c_name is not None:
        sources["name"] = config.name
    options.sources = sources
    options.budgets = _budgets(options, config.name)
    if options.board_required and getattr(options, "board", None) is None:
        raise UsageError(
            f'a board is missing. Give --board NAME, or put board = "NAME" into {FILE_NAME} beside the model; '
            "`tinygen boards` lists the names."
        )


def choose_all(options: argparse.Namespace) -> Choice:
    """The models of `build`, each with its --name where names are given."""
    names: list[str | None] = list(options.name or [None] * len(options.models))
    if len(names) != len(options.models):
        raise UsageError(
            f"--name was given {len(names)} times for {len(options.models)} models. Give it once for each model, in "
            "their order, or leave it out: then the files' names count."
        )
    if not options.name and options.c_name is not None:
        if len(names) > 1:
            raise UsageError(
                f"{options.sources['name']} names one model, {options.c_name}, and there are {len(names)}. Give each "
                "its --name."
            )
        names = [options.c_name]
    board, reference = load_board(options.board), Reference(options.reference)
    if options.kernel and len(names) > 1:
        raise UsageError("--kernel speaks of one model's layers. Build the models one by one, or leave it out.")
    if options.weights_memory and len(names) > 1:
        raise UsageError("--weights-memory fills a memory with one model's constants. Build the models one by one.")
    models = [
        (read(path), _options(options, reference, name)) for path, name in zip(options.models, names, strict=True)
    ]
    together = max if options.shared_arena else sum
    return choose(models, board, options.budgets, arena=together, measure=Measure.ALWAYS)


def _options(options: argparse.Namespace, reference: Reference, name: str | None) -> Options:
    kernels: dict[int, str] = {}
    for layer, name in options.kernel or ():
        if kernels.setdefault(layer, name) != name:
            raise UsageError(f"--kernel names two kernels for layer {layer}: {kernels[layer]} and {name}.")
    return Options(
        reference=reference,
        optimize=Optimize(options.optimize),
        name=name,
        kernels=kernels,
        constant_channels=ConstantChannels.KEEP if options.keep_constant_channels else ConstantChannels.DROP,
        arena_memory=options.arena_memory,
        weights_memory=options.weights_memory,
        input_form=InputForm(options.input),
    )


def choose_one(options: argparse.Namespace) -> Choice:
    """The model of `validate` or `profile`, as `build` would make it."""
    if options.model is None:
        raise UsageError("validate: a model is missing. Give a .tflite file, or --replay FILE.")
    return choose_model(read(options.model), options, Reference(options.reference))


def choose_model(model: ModelFile, options: argparse.Namespace, reference: Reference) -> Choice:
    """One model, as `build` would make it."""
    chosen = _options(options, reference, options.c_name)
    counting = getattr(options, "emulator", "auto")
    counting = "auto" if counting in NOT_COUNTING else counting
    return choose([(model, chosen)], load_board(options.board), options.budgets, emulator=counting)


def check_instructions(options: argparse.Namespace, compiled: Compiled, instructions: int | None) -> None:
    """Raise DoesNotFitError when any inference took more than the budget of instructions."""
    budget = options.budgets.instructions
    if budget is not None and instructions is not None and instructions > budget.most:
        raise DoesNotFitError(
            f"{compiled.model.label}: one inference takes up to {instructions:,} instructions, {budget.said} allows "
            f"{budget.most:,}. `tinygen profile` shows the layers'."
        )


def _config(options: argparse.Namespace) -> Config:
    if options.no_config:
        return EMPTY
    if options.config is not None:
        return read_config(Path(options.config))
    models = getattr(options, "models", None) or [getattr(options, "model", None)]
    path = find_config([model for model in models if model is not None])
    return EMPTY if path is None else read_config(path)


def _budgets(options: argparse.Namespace, file_name: str) -> Budgets:
    def budget(resource: Resource) -> Budget | None:
        most = getattr(options, resource.value, None)
        if most is None:
            return None
        of_file = options.sources[resource.value] != COMMAND_LINE
        return Budget(most, f"{resource.value} in {file_name}" if of_file else resource.option)

    return Budgets(*map(budget, (Resource.RAM, Resource.FLASH, Resource.STACK, Resource.INSTRUCTIONS)))
