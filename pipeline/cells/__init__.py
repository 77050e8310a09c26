"""Recurrent cells, one a file: which weights a cell has, how they begin, and one step through time."""
