"""Find out why one cell stops learning one task: train seeds that fail beyond the horizon again with one thing changed.

    python -m pipeline.explain task=adding cell=lstm
    python -m pipeline.explain task=adding cell=lstm explain.searches=4

reads the horizon in results/search/TASK-CELL/, trains seeds at a length that one in eight solves, and those that fail
again: on other sequences (luck), with a longer memory at init, the regularizer, smaller steps, four times the updates.
From the shares that are rescued and from the gradients of failing and solving seeds a stated rule gives the verdict,
of each seed and of the pair (`pipeline/explanation/rule.py`). Writes results/explain/TASK-CELL/: explanation.json,
seeds.csv, maps.parquet, figures; and a run in MLflow. Killed and started again, it goes on from the last training that
had ended. `explain.searches` caps the cost.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Explain one pair."""
    from pipeline.runs.explain import explain

    explain(settings)


if __name__ == "__main__":
    main()
