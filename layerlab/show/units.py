"""Units as tables show them; they are a floor below, because gates and notes name sizes too."""

from layerlab.units import bytes_text, megabytes, parse_bytes, parse_percent

__all__ = ["bytes_text", "megabytes", "parse_bytes", "parse_percent"]
