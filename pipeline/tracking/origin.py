"""Where a run comes from: the commit of the code, and the DVC stage or experiment that started it."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("pipeline", "conf")  # folders whose changes are named in a note
DECIDING = (*CODE, "pyproject.toml", "constraints.txt")  # DVC takes away results before a stage, so those tell nothing
DVC = {"dvc.stage": "DVC_STAGE", "dvc.experiment": "DVC_EXP_NAME", "dvc.baseline": "DVC_EXP_BASELINE_REV"}


def tags() -> dict[str, str]:
    """Return the tags that say from which code, command, DVC stage and DVC experiment a run comes."""
    known = {tag: os.environ[variable] for tag, variable in DVC.items() if os.environ.get(variable)}
    if commit := git("rev-parse", "HEAD"):
        changed = "yes" if git("status", "--porcelain", "--", *DECIDING) else "no"
        known |= {"mlflow.source.git.commit": commit, "git.changed": changed}
    return known | {"mlflow.source.name": " ".join(["python -m", *sys.orig_argv[2:]]), "mlflow.source.type": "LOCAL"}


def code() -> str:
    """Return the commit of the code in words for a reviewer, with whether files that it runs differ from it."""
    commit = git("rev-parse", "HEAD")
    if not commit:
        return "not in git" if has_git() else "commit unknown, for git was not found"
    changed = git("status", "--porcelain", "--", *CODE)
    folders = " or ".join(f"`{folder}/`" for folder in CODE)
    return f"commit `{commit[:12]}`" + (f", with changes in {folders} that are not in it" if changed else "")


def git(*arguments: str) -> str:
    """Return what git says of the project; empty where it is not in git, and where there is no git."""
    if not has_git():
        return ""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@cache
def has_git() -> bool:
    """Return True if git can be called; the first time that it can't, say so."""
    found = shutil.which("git") is not None
    if not found:
        print("warning: commit unknown, for git was not found", file=sys.stderr)
    return found
