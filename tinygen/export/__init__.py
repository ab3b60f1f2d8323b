"""Sources → a folder on disk."""

from tinygen.export.folder import MANIFEST, write_folder

__all__ = ["MANIFEST", "write_folder"]
