"""Prepare a task: held-out sequences for every length of the ladder, and task.json, which says what they are.

    python -m pipeline.prepare task=adding

writes data/TASK/. Training sequences are never stored: they are drawn fresh for each update.
"""

from pipeline.base.lines import print_line
from pipeline.settings import Settings, stage_with


@stage_with("task")
def main(settings: Settings) -> None:
    """Prepare one task."""
    from pipeline.runs.prepared import lengths, prepare

    sequences = prepare(settings)
    count, digest = len(lengths(settings)), sequences.description()["digest"]
    print_line(f"{settings.data_folder}: {sequences.count} sequences for each of {count} lengths, digest {digest}")


if __name__ == "__main__":
    main()
