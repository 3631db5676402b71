"""Supervised training and DPO, and what surrounds a run: launch, merge, export, curves."""
