"""Synthetic long-range tasks, one a file: how a sequence of any length is drawn, and what is asked of it."""
