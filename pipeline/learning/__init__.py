"""Training of many replicas at once, and what is measured while they learn."""
