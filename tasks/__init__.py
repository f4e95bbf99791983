"""Example business logic: what your bot does with dispatches. Copy a file and change it, or set GATEWAY_TASKS.

Each file has a pure rule, which decides, and a thin handler, which acts.
"""
