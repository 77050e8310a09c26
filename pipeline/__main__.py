"""The commands of the pipeline, a line each: `python -m pipeline`."""

import ast
from pathlib import Path

from pipeline.base.lines import print_line

FOLDER = Path(__file__).parent


def commands() -> dict[str, str]:
    """Return the first sentence of every command by its name, without importing one."""
    files = [path for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("__")]
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0] for path in files}


def main() -> None:
    """Print them."""
    found = commands()
    width = max(map(len, found))
    lines = [f"  {name:<{width}}  {sentence}" for name, sentence in found.items()]
    print_line("\n".join(["python -m pipeline.NAME, or horizon-NAME; --help lists its settings", "", *lines]))


if __name__ == "__main__":
    main()
