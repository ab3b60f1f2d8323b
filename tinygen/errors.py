"""Errors that tinygen shows to its user, one paragraph each.

    TinygenError
    ├── UsageError         the call is wrong: an unknown option's value, an unusable output folder
    ├── ModelError         the .tflite file is malformed, or holds what tinygen cannot compile
    ├── BoardError         a board is unknown, or its TOML file is wrong
    ├── DoesNotFitError    the model needs more memory than the board or the budget has
    ├── ToolError          a compiler, emulator or reference interpreter is missing or failed
    ├── EmulatorError      the firmware faulted, overflowed its stack or ran out of time
    └── MismatchError      a value differs from the Python reference

A defect of tinygen itself is any other exception and keeps its traceback.
"""

from __future__ import annotations


class TinygenError(Exception):
    """Base of every error that tinygen raises on purpose: place, sentence, found value, what to do.

    `exit_code` is the process's: 1 when the model, the numbers or a budget are wrong, 2 for usage or a missing tool.
    """

    exit_code = 1


class UsageError(TinygenError):
    """The command or call cannot be carried out as it was given."""

    exit_code = 2


class ModelError(TinygenError):
    """The model file is malformed or holds something that tinygen does not support."""


class BoardError(TinygenError):
    """The board is unknown or its description is wrong."""

    exit_code = 2


class DoesNotFitError(TinygenError):
    """The model does not fit into the board's memories or the given budget."""


class ToolError(TinygenError):
    """An external tool is missing (the message says how to install it) or failed (it shows the last lines)."""

    exit_code = 2


class EmulatorError(TinygenError):
    """The emulated firmware faulted; the message names address, function and layer."""


class MismatchError(TinygenError):
    """A value differs from the Python reference."""
