"""The held-out sequences that some settings ask for, prepared where they are not there."""

from pipeline.data import prepared
from pipeline.data.held_out import HeldOut
from pipeline.horizon.ladder import ladder
from pipeline.settings import Settings
from pipeline.settings.destination import what_if


def lengths(settings: Settings) -> list[int]:
    """Return the lengths that a search may ask for, as far as their held-out sequences are kept in files.

    Sequences of longer ones are drawn when a trial needs them: the same, for they follow from seed and length alone.
    """
    search = settings.search
    every = ladder(search.length_min, search.length_max, search.per_octave)
    return [length for length in every if length <= max(settings.data.longest, search.length_min)]


def held_out_of(settings: Settings) -> HeldOut:
    """Return the held-out sequences of these settings, prepared or not."""
    return HeldOut(settings.task, settings.data.seed, settings.data.held_out, settings.data_folder)


def prepare(settings: Settings) -> HeldOut:
    """Write the held-out sequences of every length of the ladder, and return them."""
    sequences = held_out_of(settings)
    prepared.write(sequences, settings.names["task"], lengths(settings))
    return sequences


def ensure_prepared(settings: Settings) -> HeldOut:
    """Return the held-out sequences, prepared first if there are none.

    Those of an experiment, and of settings that would prepare others than a stage does, are drawn as needed.
    """
    sequences = held_out_of(settings)
    if sequences.prepared() or settings.experiment or what_if(settings, "prepare", "data"):
        return sequences
    return prepare(settings)
