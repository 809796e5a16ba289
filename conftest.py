"""This repository's fixtures; those that any project can use are in layerlab/plugin.py."""

pytest_plugins = ["pytester"]
