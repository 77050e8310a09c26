"""Where the project lies, and the files of conf/ that a setting can name."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PARTS = ("task", "cell", "optimizer", "sampler", "executor")  # groups of conf/ with one part a file
HIDDEN = ("experiment", "tuned")  # groups that --help lists on their own, or that nobody chooses


def options(group: str) -> list[str]:
    """Return the names of the files in a group of conf/."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def groups() -> list[str]:
    """Return the folders of conf/ that hold options, without experiments."""
    folders = (path.name for path in CONF.iterdir() if path.is_dir() and path.name not in HIDDEN)
    return sorted(name for name in folders if options(name))
