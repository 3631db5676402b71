"""Checks a machine: every kind of training and serving, once and small, with the scripts that users start."""
