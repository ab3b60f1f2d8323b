"""The root table of a file that calls itself a .tflite file, and the limits of what is read."""

from __future__ import annotations

from tinygen.tflite import schema
from tinygen.tflite.bounded import File, Table, Wire
from tinygen.tflite.schema import ModelSlot

MAX_FILE_BYTES = 256 << 20
MAX_TABLES = 16_384
"""Of each kind. The largest published microcontroller models have a few hundred."""


def root_table(file: File) -> Table:
    """The root table. Raises ModelError where the file is too large, too small or something else."""
    size_bytes = len(file.data)
    if size_bytes > MAX_FILE_BYTES:
        raise file.fault("", f"the file is larger than {MAX_FILE_BYTES >> 20} MiB, the most that tinygen reads.")
    if size_bytes < 8:
        raise file.fault("", f"the file has {size_bytes} bytes, too few for a .tflite file. Export the model again.")
    if file.data[4:8] != schema.IDENTIFIER:
        raise file.fault(
            "",
            f"this is not a .tflite file: bytes 4 to 8 must be {schema.IDENTIFIER!r}. Found {file.data[4:8]!r}. "
            "Convert the model with tf.lite.TFLiteConverter.",
        )
    root = Table(file, int.from_bytes(file.data[:4], "little"), "root table")
    version = root.number(ModelSlot.VERSION, Wire.UINT32)
    if version != schema.VERSION:
        raise file.fault("", f"schema version must be {schema.VERSION}. Found {version}.")
    return root
