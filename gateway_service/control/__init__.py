"""The control plane: one registry of operations, and the doors that are made from it."""
