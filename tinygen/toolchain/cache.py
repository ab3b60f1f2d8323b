"""The user's cache folder, for compiled helpers and compilers' own caches."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path


@cache
def cache_dir() -> Path:
    """A writable folder of the user's; a temporary one where the usual place cannot be written."""
    path = user_cache_path("tinygen", appauthor=False)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # RuntimeError: no home at all
        return Path(tempfile.mkdtemp(prefix="tinygen-cache-"))
