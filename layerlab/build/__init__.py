"""Variants, their contexts and edits, and one measured build."""
