"""Reads .tflite files: the only package that knows flatbuffers, and where hostile input stops."""

from tinygen.tflite.reader import ModelFile, read, read_model
from tinygen.tflite.repair import computed_tensors, repaired

__all__ = ["ModelFile", "computed_tensors", "read", "read_model", "repaired"]
