"""Showing: tables and live progress."""
