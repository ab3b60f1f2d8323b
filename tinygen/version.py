"""The version, as generated files and manifests state it."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("tinygen")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0+unknown"
