"""Hand gestures from an accelerometer."""
