"""Keyword spotting on synthesised spoken tones."""
