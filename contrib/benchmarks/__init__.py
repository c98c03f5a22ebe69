"""Measures every content of the module against the bare cache backend."""
