"""Policies without a model: what a gain has to beat; and oracles: how far a kind of policy could come."""
