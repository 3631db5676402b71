"""Who writes the messages of an episode."""
