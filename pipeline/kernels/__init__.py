"""Replica-batched passes of a recurrent cell through time, with the norms of the gradient at every step."""
