"""Where tests draw at random: the same each time, or by $TEST_SEED, which `make test-long` draws and prints."""

import os

import hypothesis

SEED = int(os.environ.get("TEST_SEED", "20"))
OTHERS = "TEST_SEED" in os.environ  # other draws than the usual ones


def use() -> None:
    """Let hypothesis draw the same cases each time, or those of the seed."""
    hypothesis.settings.register_profile("same", derandomize=True, database=None)
    hypothesis.settings.register_profile("others", derandomize=False, database=None, print_blob=True)
    hypothesis.settings.load_profile("others" if OTHERS else "same")
    if OTHERS:
        hypothesis.core.global_force_seed = SEED
