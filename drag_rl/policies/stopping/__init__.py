"""Policies that stop by a rule: any policy searches, and the rule decides after each search whether that is enough."""
