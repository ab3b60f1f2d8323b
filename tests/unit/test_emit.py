"""The C text: nothing in a model file breaks out of names, comments or numbers, and only needed helpers are printed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tinygen import Compiled, compile_model, load_board
from tinygen.compile import Options
from tinygen.emit.environment import environment, support_functions, support_text
from tinygen.emit.literals import LINE, array_lines, float_literal, literal
from tinygen.emit.names import C_AND_CPP_KEYWORDS, c_identifier, comment_text, is_c_identifier
from tinygen.errors import UsageError
from tinygen.program import Constant
from tinygen.tflite import read

HOSTILE = (
    "*/ int x; /*",
    "a\nb",
    "a\r\n#error",
    "a\\",
    "a??/",
    "a??/\nb",
    "a//b",
    "///*",
    "*//*",
    "*",
    "/",
    '"quoted" %s %n {{ macro }} //% if',
    "naïve Größe 模型 \u202e \U0001f600",
    "\0\x01\x7f\x1b[31m",
    "int",
    "",
    " ",
    "_",
    "9lives",
    "x" * 10_000,
    "*/" * 5_000,
)
GCC = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Wundef", "-Werror")
hostile = pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:12]) for text in HOSTILE])


# --- names --------------------------------------------------------------------------------------------------------


@hostile
def test_any_text_becomes_an_identifier_of_bounded_length(text: str) -> None:
    name = c_identifier(text)
    assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]|[a-z]", name)
    assert name not in C_AND_CPP_KEYWORDS and is_c_identifier(name)
    assert len(name) <= 46
    assert "__" not in name, "two underscores are reserved in C++"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kws", "kws"),
        ("Kws model-v2", "kws_model_v2"),
        ("2x", "model_2x"),
        ("int", "model_int"),
        ("class", "model_class"),
        ("main", "model_main"),
        ("", "model"),
        ("模型", "model"),
        ("__a__", "a"),
        ("a" * 39 + "-b", "a" * 39),
    ],
)
def test_a_name_keeps_what_can_be_kept(text: str, name: str) -> None:
    assert c_identifier(text) == name


@pytest.mark.parametrize(
    "text", ["", "1a", "_a", "a-b", "a b", "a\n", "é", "ａ", "while", "xor_eq", "main", "co_await", "typeof", "cycles"]
)
def test_what_is_no_identifier_is_refused_as_a_name(text: str) -> None:
    assert not is_c_identifier(text)


@hostile
def test_a_comment_can_be_neither_closed_nor_continued(text: str) -> None:
    shown = comment_text(text)
    assert len(shown) <= 80
    assert shown.isascii() and (shown.isprintable() or shown == "")
    for mark in ("*", "\\", "??", "//", "\n", '"', "%", "{"):
        assert mark not in shown


def test_a_comment_keeps_ordinary_names() -> None:
    assert comment_text("conv2d/Relu;bias (1x49x10) [0] = <in> + a_b-c.d:0") == (
        "conv2d/Relu;bias (1x49x10) [0] = <in> + a_b-c.d:0"
    )


# --- literals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-1, "-1"),
        (2**31 - 1, "2147483647"),
        (-(2**31) + 1, "-2147483647"),
        (-(2**31), "(-2147483647 - 1)"),
        (1.0, "1.0f"),
        (-0.0, "-0.0f"),
        (1e-45, "1e-45f"),
        (0.1, "0.1f"),
        (1e10, "1e+10f"),
        (3.4028234663852886e38, "3.4028235e+38f"),
        (Constant("kws_layer_0_bias", "int32_t", np.zeros(1, np.int32)), "kws_layer_0_bias"),
    ],
)
def test_a_value_is_printed_as_c_reads_it_back(value: object, text: str) -> None:
    assert literal(value) == text  # type: ignore[arg-type]


def floats() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Finite float32 numbers of every exponent, both zeros, and both ends of the subnormals."""
    rng = np.random.default_rng(0)
    corners = [0, 1 << 31, 1, 0x007F_FFFF, 0x0080_0000, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x4B00_0000, 0x3F80_0001]
    bits = np.array([*corners, *rng.integers(0, 2**32, 5000)], np.uint32)
    numbers = bits.view(np.float32)
    return numbers[np.isfinite(numbers)]


def test_a_float_reads_back_as_the_same_32_bits() -> None:
    for number in floats():
        text = float_literal(float(number))
        assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text) and ("." in text or "e" in text), text
        assert np.float32(text[:-1]).tobytes() == number.tobytes(), text


def run(*command: str, cwd: Path) -> str:
    if shutil.which(command[0]) is None and not Path(command[0]).exists():
        pytest.skip(f"{command[0]} is missing: apt install {command[0]}")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    return done.stdout


def test_gcc_reads_every_literal_back(tmp_path: Path) -> None:
    numbers = floats()
    integers = np.array([-(2**31), 2**31 - 1, 0, -1, 12345], np.int32)
    arrays = {"float": numbers, "int32_t": integers, "int8_t": np.arange(-128, 128).astype(np.int8)}
    lines = [f"static const {c} {c}_values[] = {{\n{array_lines(a)}\n}};" for c, a in arrays.items()]
    writes = [f"fwrite({c}_values, 1, sizeof {c}_values, stdout);" for c in arrays]
    source = ["#include <stdint.h>", "#include <stdio.h>", *lines, "int main(void) {", *writes, "return 0; }"]
    (tmp_path / "a.c").write_text("\n".join(source))
    run(*GCC, "-Wno-unused-result", "a.c", "-o", "a.out", cwd=tmp_path)
    done = subprocess.run([str(tmp_path / "a.out")], capture_output=True, check=True)
    assert done.stdout == b"".join(a.tobytes() for a in arrays.values())


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float32])
@pytest.mark.parametrize("count", [1, 2, 31, 1000])
def test_lines_of_numbers_are_bounded(dtype: type, count: int) -> None:
    lines = array_lines(np.arange(count).astype(dtype)).splitlines()
    assert max(map(len, lines)) <= LINE + 8
    assert sum(line.count(",") for line in lines) == count - 1


# --- whole models -------------------------------------------------------------------------------------------------


def compiled(builder: ModelBuilder, name: str = "m", prefix: str | None = None) -> Compiled:
    model = read(builder.finish(), name=name)
    return compile_model(model, load_board("nano33"), Options(name=prefix))


def compiles(model: Compiled, folder: Path) -> None:
    for name, text in model.sources.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in model.sources.files:
        if name.endswith(".c"):
            run(*GCC, "-I", ".", "-c", name, "-o", "out.o", cwd=folder)


def small_model(name: str) -> ModelBuilder:
    """A sum and a concatenation, which calls memcpy; every tensor has that name."""
    builder = ModelBuilder(name)
    x = builder.input((1, 4), scale=0.5, name=name)
    y = builder.tensor((1, 4), scale=0.5, name=name)
    z = builder.tensor((1, 8), scale=0.5, name=name)
    builder.node("ADD", [x, x], [y])
    builder.node("CONCATENATION", [x, y], [z], axis=1)
    builder.output(z)
    return builder


@hostile
def test_a_model_with_hostile_names_compiles_without_a_warning(text: str, tmp_path: Path) -> None:
    # The reader refuses tensors called */, but the file itself may be called so.
    model = compiled(small_model(text.replace("*/", "* /")), name=text)
    assert all(text_of_file.isascii() for text_of_file in model.sources.files.values())
    compiles(model, tmp_path)


@pytest.mark.parametrize("name", ["string", "stdint", "stddef", "features", "limits", "stdio"])
def test_a_model_named_like_a_header_of_c_compiles(name: str, tmp_path: Path) -> None:
    compiles(compiled(small_model("x"), name=name), tmp_path)


@pytest.mark.parametrize("name", ["1st", "a-b", "a\n", "int", "é", ""])
def test_a_name_that_the_user_gives_is_taken_as_it_is_or_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no C identifier"):
        compiled(small_model("x"), prefix=name)
    assert compiled(small_model("x"), prefix="My_Net2").sources.name == "My_Net2"


CONSTANTS = {
    "int8": np.array([-128, 127, 0, 1], np.int8),
    "uint8": np.array([0, 255, 1, 2], np.uint8),
    "int16": np.array([-(2**15), 2**15 - 1, 0, 1], np.int16),
    "int32": np.array([-(2**31), 2**31 - 1, 0, 1], np.int32),
    "int64": np.array([-(2**63), 2**63 - 1, 0, 1], np.int64),
    "bool": np.array([True, False, True, True]),
    "float32": np.array([-0.0, 1e-45, 3.4e38, 0.1], np.float32),
    "nan and infinity": np.array([0x7FC0_0000, 0xFFC0_1234, 0x7F80_0000, 0xFF80_0000], np.uint32).view(np.float32),
}


@pytest.mark.parametrize("array", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_a_constant_output_of_any_type_compiles(array: np.ndarray, tmp_path: Path) -> None:  # type: ignore[type-arg]
    builder = small_model("x")
    output = builder.tensor((2, 2), str(array.dtype))
    builder.node("RESHAPE", [builder.constant(array)], [output], new_shape=[2, 2])
    builder.output(output)
    compiles(compiled(builder), tmp_path)


# --- helpers ------------------------------------------------------------------------------------------------------


def code_of(helper: str) -> str:
    """A helper's text without comments."""
    text = environment().get_template(f"support/{helper}.c.j2").render()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def called(code: str) -> set[str]:
    return {name for name in support_functions() if re.search(rf"\b{name}\(", code)}


def printed(text: str) -> list[str]:
    """Helpers that a support text defines, in order."""
    return re.findall(r"^static (?:inline )?.*?(\w+)\(", text, flags=re.MULTILINE)


def test_code_without_calls_needs_no_helper() -> None:
    assert support_text("") == ""
    assert support_text("int dot_s8; my_dot_s8(1); dot_s8x(2);") == ""


@pytest.mark.parametrize("helper", support_functions())
def test_a_helper_brings_what_it_calls_and_nothing_else_each_before_its_use(helper: str) -> None:
    needed, rest = set(), {helper}
    while rest:
        name = rest.pop()
        needed.add(name)
        rest |= called(code_of(name)) - needed
    order = printed(support_text(f"x = {helper}(1);"))
    assert sorted(order) == sorted(needed)
    for place, name in enumerate(order):
        assert called(code_of(name)) <= set(order[: place + 1])


def test_a_helper_that_two_kernels_call_is_printed_once() -> None:
    assert printed(support_text("dot_s8(1); dot_s8(2);\nclamp_s8(3);")).count("dot_s8") == 1
