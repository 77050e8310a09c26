"""Optuna and processes: which trials a search runs, where they are kept, who works on them."""
