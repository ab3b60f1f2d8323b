"""Documentation says what is true."""

from __future__ import annotations

import re
import runpy

import pytest

from tests.support.paths import ROOT


def test_the_table_of_operators_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs" / "operators.py"))["text"]()
    assert (ROOT / "docs" / "operators.md").read_text(encoding="utf-8") == generated


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT) for p in [ROOT / "README.md", *ROOT.glob("docs/*.md")]), ids=str
)
def test_links_lead_somewhere(page) -> None:  # type: ignore[no-untyped-def]
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
