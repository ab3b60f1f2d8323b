"""Compiled models → a project that builds, as text by path → a folder on disk."""

from tinygen.export.folder import MANIFEST, Edited, write_folder
from tinygen.export.project import Bundle, ProjectKind, default_kind, export_project, next_command

__all__ = [
    "MANIFEST",
    "Bundle",
    "Edited",
    "ProjectKind",
    "default_kind",
    "export_project",
    "next_command",
    "write_folder",
]
