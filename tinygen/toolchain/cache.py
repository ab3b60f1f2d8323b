"""The user's cache folder, for compiled helpers and compilers' own caches."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path


@cache
def cache_dir() -> Path:
    """A writable folder of the user's; a temporary one where the usual place cannot be written."""
    windows = os.environ.get("LOCALAPPDATA") if os.name == "nt" else None
    base = windows or os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    path = Path(base) / "tinygen"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # RuntimeError: no home at all
        return Path(tempfile.mkdtemp(prefix="tinygen-cache-"))
