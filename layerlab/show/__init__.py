"""Showing: tables, bars, pictures and live progress."""
