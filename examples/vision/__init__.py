"""Shapes in small synthesised pictures."""
