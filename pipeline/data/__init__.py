"""Random streams, and the held-out sequences that trained cells are judged by."""
