"""Trajectories as training data: one file a format, and ``build`` that writes them all."""
