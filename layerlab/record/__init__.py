"""The record: what was measured, kept as soon as it is measured."""
