"""Measurements of speed, run by hand or in CI with ``./run bench NAME``; nothing here asserts a time."""
