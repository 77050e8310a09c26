"""Edits of a copy of the project's code: those that change no meaning, and one that changes a constant."""

import ast
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.base.commands import ROOT

Edit = Callable[[Path], None]


def copy_of_the_code(folder: Path) -> Path:
    """A copy of `pipeline` and `conf`, without what only some machine made."""
    for name in ("pipeline", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "dvc"))
    return folder


def sources(place: Path) -> list[Path]:
    """The Python files at a place that do something."""
    found = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return [path for path in found if len(ast.parse(path.read_text()).body) > 1]


def reword(place: Path) -> None:
    """Give every docstring other words."""
    for path in sources(place):
        before = path.read_text()
        path.write_text(re.sub(r'^( *)"""(?=\w)', r'\1"""In other words: ', before, flags=re.MULTILINE))
        assert path.read_text() != before


def remark(place: Path) -> None:
    """Add comments and white space."""
    for path in sources(place):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(["# a remark", *lines, "", "", "# another"]) + "\n")


def reorder_imports(place: Path) -> None:
    """Write the imports at the top of each module in reverse order."""
    for path in sources(place):
        text = path.read_text()
        imports = [each for each in ast.parse(text).body if isinstance(each, ast.Import | ast.ImportFrom)]
        lines = text.splitlines()
        blocks = [lines[each.lineno - 1 : each.end_lineno] for each in imports]
        for each in reversed(imports):
            del lines[each.lineno - 1 : each.end_lineno]
        at = imports[0].lineno - 1 if imports else 0
        lines[at:at] = [line for block in reversed(blocks) for line in block]
        path.write_text("\n".join(lines) + "\n")


class _Unhinted(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg, ast.Name("object"))

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node  # its arguments have no hints

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = ast.Name("object")
        self.generic_visit(node)
        return node


def change_hints(place: Path) -> None:
    """Say `object` for the type of every argument and of everything that is returned; formatting changes, too."""
    for path in sources(place):
        path.write_text(ast.unparse(ast.fix_missing_locations(_Unhinted().visit(ast.parse(path.read_text())))))


def rename_modules(top: Path) -> None:
    """Give every module of every room another name, and adapt what imports or lists it."""
    modules = [path.relative_to(top).with_suffix("") for path in top.glob("*/[a-z]*.py")]
    names = "|".join("/".join(module.parts) for module in modules)
    imported = re.compile(rf"\bpipeline\.({names.replace('/', '[.]')})\b")
    listed = re.compile(rf'"({names})\.py"')
    from_room = re.compile(r"^( *from pipeline\.(\w+) import )([^(\n]+)$", re.MULTILINE)
    for path in [*top.rglob("*.py"), *top.with_name("conf").rglob("*.yaml")]:
        text = imported.sub(r"pipeline.\1_renamed", path.read_text())
        text = from_room.sub(partial(_renamed, modules=set(modules)), text)
        path.write_text(listed.sub(r'"\1_renamed.py"', text))
    for module in modules:
        (top / module).with_suffix(".py").rename(top / f"{module}_renamed.py")


def _renamed(line: re.Match[str], modules: set[Path]) -> str:
    words = []
    for name, as_, other in (each.partition(" as ") for each in line[3].split(", ")):
        is_module = Path(line[2], name) in modules
        words.append(f"{name}_renamed as {other or name}" if is_module else name + as_ + other)
    return line[1] + ", ".join(words)


class _Bumped(ast.NodeTransformer):
    def __init__(self) -> None:
        self.done = False

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if self.done or type(node.value) not in (int, float):
            return node
        self.done = True
        return ast.Constant(node.value + 1)


def change_a_constant(place: Path) -> None:
    """Add 1 to the first number of a file."""
    text = place.read_text()
    if place.suffix == ".py":
        bumped = _Bumped()
        place.write_text(ast.unparse(ast.fix_missing_locations(bumped.visit(ast.parse(text)))))
        assert bumped.done, place
    else:
        changed = re.sub(r"(?<== )\d", lambda found: str(int(found[0]) + 1), text, count=1)
        assert changed != text, place
        place.write_text(changed)


MEANINGLESS = (reword, remark, reorder_imports, change_hints)
