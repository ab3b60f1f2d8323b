"""A PlatformIO without network, once a test process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.platformio.install import install, require_platformio


@pytest.fixture(scope="session")
def pio_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A core directory in which the vendors' platforms are local ones."""
    require_platformio()
    core = tmp_path_factory.mktemp("platformio") / "core dir"
    install(core)
    return core
