"""Comparing: the order of runs, and what the samples say."""
