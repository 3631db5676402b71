"""Searching by HTTP: our own service, or any server that speaks Search-R1's ``/retrieve``."""
