"""An atlas of some pairs that takes seconds."""


def small_atlas(*rows: str) -> tuple[str, ...]:
    """The settings of one with these rows, on one task."""
    return (
        "atlas.tasks=[temporal_order]",
        f"atlas.cells=[{','.join(rows)}]",
        "atlas.widths=[32]",
        "atlas.climb=60",
        "atlas.rates=[0.003,0.03]",
        "data.held_out=100",
        "training.updates=60",
        "training.probe_every=20",
        "training.threads=1",
        "search.length_max=40",
        "search.replicas=2",
        "search.trials=2",
    )
