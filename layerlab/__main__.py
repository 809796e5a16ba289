"""``python -m layerlab`` is the command ``layerlab``."""

from layerlab.cli import main

main()
