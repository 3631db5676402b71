"""Starts trainings: knobs from the environment become the options of verl or TRL, and the trainer runs with a log."""
