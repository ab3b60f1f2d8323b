"""Writes docs/operators.md from the operators themselves: python docs/operators.py"""

from __future__ import annotations

from pathlib import Path

from tinygen.ops import OPS
from tinygen.report.manifest import rule_sentence

HEAD = """# Supported operators

Written by `python docs/operators.py`; a test fails when it is out of date. A model that breaks a rule is refused with
the rule's sentence and the value that was found. `tinygen ops NAME` also lists its kernels.
"""


def text() -> str:
    """The page."""
    parts = [HEAD]
    for op in sorted(OPS, key=lambda op: op.name):
        parts.append(f"## {op.name}\n")
        parts.append(f"Versions up to {op.version}.\n")
        rules = [f"- {rule_sentence(rule)}" for rule in op.constraints]
        if rules:
            parts.append("\n".join(rules) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("operators.md").write_text(text(), encoding="utf-8")
