"""Checks of a set-up before any training."""
