"""Prints the accuracy of gesture.tflite on held-out synthetic data."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.common import evaluate
from examples.gesture.data import CLASSES, held_out_set

if __name__ == "__main__":
    evaluate(Path(__file__).with_name("gesture.tflite"), CLASSES, held_out_set)
