"""Passes through time made from a cell's own lines: traced, lowered, then replayed in torch or written as C++."""
