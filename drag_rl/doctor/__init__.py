"""Checks of a set-up before any training: one module for each part, ``examine`` has their order."""
