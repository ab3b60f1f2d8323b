"""Finds the data folders that are shipped beside the code: templates, boards, firmware and the examples' models."""

from __future__ import annotations

from pathlib import Path

KINDS = ("templates", "boards", "firmware", "examples")


def resource_path(kind: str) -> Path:
    """The folder of `templates`, `boards`, `firmware` or `examples`: in the installed package, else in the checkout."""
    if kind not in KINDS:
        raise ValueError(f"unknown resource {kind!r}; known: {', '.join(KINDS)}")
    package = Path(__file__).resolve().parent
    installed = package / "_data" / kind
    # An editable install does not map the wheel's force-include, so the checkout is the second place to look.
    return installed if installed.is_dir() else package.parent / kind
