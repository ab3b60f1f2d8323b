"""tinygen: int8 TFLite models to standalone C for microcontrollers, proved equal to Python on every tensor.

model = tinygen.read_model("kws.tflite")
compiled = tinygen.compile_model(model, tinygen.load_board("nano33"))
print(compiled.sources.files["kws.c"])
assert tinygen.validate(compiled).equal
"""

from tinygen.boards import Board, load_board
from tinygen.compile import Compiled, ConstantChannels, InputForm, Options, compile_model
from tinygen.errors import (
    BoardError,
    DoesNotFitError,
    EmulatorError,
    MismatchError,
    ModelError,
    TinygenError,
    ToolError,
    UsageError,
)
from tinygen.ir import Reference
from tinygen.kernels import Optimize
from tinygen.tflite import ModelFile
from tinygen.tflite import read as read_model
from tinygen.validate.profile import Profile, profile
from tinygen.validate.run import Comparison, validate
from tinygen.version import VERSION as __version__

__all__ = [
    "Board",
    "BoardError",
    "Comparison",
    "Compiled",
    "ConstantChannels",
    "DoesNotFitError",
    "EmulatorError",
    "InputForm",
    "MismatchError",
    "ModelError",
    "ModelFile",
    "Optimize",
    "Options",
    "Profile",
    "Reference",
    "TinygenError",
    "ToolError",
    "UsageError",
    "__version__",
    "compile_model",
    "load_board",
    "profile",
    "read_model",
    "validate",
]
