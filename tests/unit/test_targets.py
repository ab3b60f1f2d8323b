"""Targets: what is told to each compiler gives what the target's features promise."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tinygen.targets import TARGETS, Architecture, Family, Target
from tinygen.toolchain.find import compiler_environment, find_family
from tinygen.toolchain.options import compile_options

MACRO_OF = {
    "dsp": "__ARM_FEATURE_DSP",
    "mve": "__ARM_FEATURE_MVE",
    "fpu": "__ARM_FP",
    "unaligned": "__ARM_FEATURE_UNALIGNED",
}
"""By which macros generated C chooses its instructions."""


@pytest.mark.parametrize("family", [Family.ARM_GCC, Family.ZIG], ids=lambda f: f.value)
@pytest.mark.parametrize("target", [t for t in TARGETS if t.architecture is Architecture.ARM_M], ids=lambda t: t.name)
def test_a_compiler_defines_the_macros_of_a_cortex_ms_features(target: Target, family: Family, tmp_path: Path) -> None:
    found = find_family(family)
    if found is None:
        pytest.skip(f"{family.value} is missing")
    done = subprocess.run(
        (*found.command, *compile_options(target, found), "-dM", "-E", "-x", "c", "-"),
        input="", capture_output=True, text=True, check=True, cwd=tmp_path, env=compiler_environment(tmp_path),
    )  # fmt: skip
    defined = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("#define ")}
    assert {feature for feature, macro in MACRO_OF.items() if macro in defined} == target.features & MACRO_OF.keys()
