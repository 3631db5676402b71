"""Ways to earn without searching: each is a policy, and none may earn more than the baseline ``raw-question``."""
