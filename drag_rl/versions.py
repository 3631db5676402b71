"""Versions of other people's software that this release is written for."""

VERL_VERSION = "0.9.1"
"""veRL's: what the plugin patches and the configurations extend; ``pyproject.toml`` and ``constraints/`` pin it too."""
