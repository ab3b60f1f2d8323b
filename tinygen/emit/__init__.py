"""Program → C text."""

from tinygen.emit.names import c_identifier
from tinygen.emit.sources import Sources, emit

__all__ = ["Sources", "c_identifier", "emit"]
