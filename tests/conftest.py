"""What all tests share: the folder of real models, and the rule that CI skips nothing."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

REQUIRE_ALL = "TINYGEN_REQUIRE_ALL"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must be installed, a skipped test is a failed one; only Renode may be missing."""
    report = yield
    if report.skipped and os.environ.get(REQUIRE_ALL) and "Renode" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped although {REQUIRE_ALL} is set: {report.longrepr}"
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """The same for a module that skips itself as a whole."""
    if report.skipped and os.environ.get(REQUIRE_ALL) and "Renode" not in str(report.longrepr):
        report.outcome = "failed"
