"""The meaning of source code as a digest: what it computes, however it is written down and wherever it lies.

Python counts by its syntax tree, statement by statement at the top level of a module, and a set of modules by the set
of these. So comments, docstrings, type hints, the words of errors, the order of imports and definitions, and a file
that is moved, renamed, split or merged change nothing. An imported name counts as what it names: one of another library
by its full name, one of this project by its own definition. C++ counts by its tokens, without comments.

The text that is digested is made here and not by `ast.dump`, which words the same tree differently in other versions of
Python.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.base.files import digest

NATIVE = (".cpp", ".h")  # sources that count with the Python modules beside and above them
TOKENS = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/) | (?P<directive>(?m:^[ \t]*\#[^\n]*)) | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'
    | \w+ | [(){}\[\];,] | (?:(?!//|/\*)[^\w\s(){}\[\];,"'])+ """,
    re.DOTALL | re.VERBOSE,
)
UNSAID = ("annotation", "returns", "ctx", "type_comment", "type_ignores", "type_params", "kind", "simple")
"""Fields of nodes that only serve type checkers, or follow from the others."""
Scope = Callable[[str, str], str | None]  # what `name` or `name.attribute` stands for, if it was imported


class Source:
    """One Python module: its statements, what they bind, and what it imports."""

    def __init__(self, path: Path) -> None:
        """Parse a file."""
        tree = ast.parse(path.read_bytes())
        self.statements = [each for each in tree.body if counts(each)]
        self.imports = dict(_imports(tree))  # by the name that it has here: the module, and the name there or ""
        self.bound = {name: statement for statement in self.statements for name in _bound(statement)}


@dataclass
class Code:
    """The code of a project with one package. Files are read once: a process runs the code that it loaded.

    Places are paths below the package, of a file or of a folder with all below it.
    """

    root: Path  # of the project
    package: str = "pipeline"
    aside: tuple[str, ...] = ()  # places whose definitions count by their names alone
    files: dict[str, Path] = field(init=False)
    sources: dict[str, Source] = field(init=False, default_factory=dict)
    meanings: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    needed: dict[str, set[str]] = field(init=False, default_factory=dict)  # modules that each imports from

    def __post_init__(self) -> None:
        """List the sources of the package."""
        top = self.root / self.package
        found = (path for suffix in (".py", *NATIVE) for path in top.rglob(f"*{suffix}"))
        self.files = {path.relative_to(top).as_posix(): path for path in sorted(found)}

    def digest(self, files: Iterable[str]) -> str:
        """Return one digest of the meaning of files: 16 hexadecimal digits."""
        return digest("\n".join(sorted(each for file in set(files) for each in self.meaning(file))))

    def below(self, *places: str) -> set[str]:
        """Return the files at some places."""
        return {file for file in self.files if _lies(file, places)}

    def reached(self, *places: str, within: str = "") -> set[str]:
        """Return the files at some places, what they import, directly or not, and the C++ below the folder of each.

        It ends at what is aside; or, `within` a room, at all other rooms.
        """
        waiting, found = self.below(*places), set[str]()
        while waiting:
            found.add(file := waiting.pop())
            others = self.native(file) | (self.imported(file) if file.endswith(".py") else set())
            waiting |= {other for other in others if self._counts(other, within)} - found
        return found

    def native(self, file: str) -> set[str]:
        """Return the C++ below the folder of a file."""
        folder = file.rpartition("/")[0]
        return {each for each in self.below(folder) if each.endswith(NATIVE)} if folder else set()

    def imported(self, file: str) -> set[str]:
        """Return the modules of this project that a module imports from, also within a function."""
        if file not in self.needed:
            found = (self._definition(*each) for each in self.source(file).imports.values())
            self.needed[file] = {each[0] for each in found if each}
        return self.needed[file]

    def module_of(self, target: str) -> str:
        """Return the file that holds a class, or a method of one, by its full name."""
        words = target.split(".")
        for end in range(len(words) - 1, 0, -1):
            if file := self._file(".".join(words[:end])):
                return file
        raise ValueError(f"{target} lies in no module of {self.package}")

    def source(self, file: str) -> Source:
        """Return a parsed module."""
        if file not in self.sources:
            self.sources[file] = Source(self.files[file])
        return self.sources[file]

    def meaning(self, file: str) -> tuple[str, ...]:
        """Return what a file means: a digest for each statement at its top level."""
        if file not in self.meanings:
            if file.endswith(NATIVE):
                texts = [tokens(self.files[file].read_text(encoding="utf-8"))]
            else:
                scope = self._scope(file)
                texts = [text(each, scope) for each in self.source(file).statements]
            self.meanings[file] = tuple(digest(each) for each in texts if each)
        return self.meanings[file]

    def _scope(self, file: str) -> Scope:
        known: dict[tuple[str, str], str | None] = {}
        imports = self.source(file).imports

        def stands_for(name: str, attribute: str) -> str | None:
            if name not in imports:
                return None
            if (name, attribute) not in known:
                known[name, attribute] = self._named(*imports[name], attribute)
            return known[name, attribute]

        return stands_for

    def _named(self, module: str, name: str, attribute: str) -> str | None:
        found = self._definition(module, name)
        if not found:  # of another library
            return ".".join(each for each in (module, name, attribute) if each)
        file, defined = found
        if bool(defined) == bool(attribute):
            return None if attribute else Path(file).stem
        bound = None if _lies(file, self.aside) else self.source(file).bound.get(defined or attribute)
        return f"{defined or attribute} {digest(text(bound))}" if bound else defined or attribute

    def _definition(self, module: str, name: str) -> tuple[str, str] | None:
        """Return the file and the name of what is imported, "" for a module; None for another library's."""
        if module.partition(".")[0] != self.package:
            return None
        if file := self._file(f"{module}.{name}".rstrip(".")):
            return file, ""
        file = self._file(module)
        if file is None:
            return None
        if _lies(file, self.aside) or name in self.source(file).bound:
            return file, name
        handed_on = self.source(file).imports.get(name)
        return self._definition(*handed_on) if handed_on else (file, name)

    def _file(self, module: str) -> str | None:
        place = module.partition(".")[2].replace(".", "/")
        return next((each for each in (f"{place}.py", f"{place}/__init__.py".lstrip("/")) if each in self.files), None)

    def _counts(self, file: str, within: str) -> bool:
        return _lies(file, [within]) if within else not _lies(file, self.aside)


def _lies(file: str, places: Iterable[str]) -> bool:
    return any(file == place or file.startswith(f"{place}/") for place in places)


def counts(statement: ast.stmt) -> bool:
    """Return whether a statement can do something: an import, a text and what only serves type checkers can't."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant(str())):
            return False
        case ast.If(ast.Name("TYPE_CHECKING")) | ast.AnnAssign(annotation=ast.Name("TypeAlias")):
            return False
    return True


def text(node: ast.AST, scope: Scope = lambda name, attribute: None, in_class: bool = False) -> str:
    """Return a syntax tree as a text: kinds of nodes and their fields, without what has no part in the meaning."""
    match node:
        case ast.Name(name):
            return f"Name({scope(name, '') or name})"
        case ast.Attribute(ast.Name(name), attribute) if found := scope(name, attribute):
            return f"Name({found})"
        case ast.Raise(ast.Call(kind)):  # its words change nothing
            return f"Raise({text(kind, scope)})"
        case ast.Call(ast.Name("require"), [condition, *_]):  # the same
            return f"Require({text(condition, scope)})"
        case ast.AnnAssign(target, _, value) if not in_class:  # in a class it is a field
            return text(ast.Assign([target], value), scope) if value else ""
    fields = {name: _field(node, value, scope) for name, value in ast.iter_fields(node) if name not in UNSAID}
    return f"{type(node).__name__}({','.join(f'{name}={value}' for name, value in fields.items() if value)})"


def _field(node: ast.AST, value: object, scope: Scope) -> str:
    if isinstance(value, ast.AST):
        return text(value, scope)
    if not isinstance(value, list):
        return "" if value is None else repr(value)
    kept = [each for each in value if not isinstance(each, ast.stmt) or counts(each)]
    inside = isinstance(node, ast.ClassDef)
    texts = [text(each, scope, inside) if isinstance(each, ast.AST) else repr(each) for each in kept]
    return ",".join(each for each in texts if each)


def _imports(tree: ast.AST) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((each.asname or each.name, (node.module or "", each.name)) for each in node.names)
        elif isinstance(node, ast.Import):
            for each in node.names:
                whole = each.name if each.asname else each.name.partition(".")[0]
                yield each.asname or whole, (whole, "")


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement at the top level of a module binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    nodes = list(ast.walk(statement))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def tokens(source: str) -> str:
    """Return C++ as its tokens. A directive ends its line; one that includes a file of ours counts nothing."""
    found = []
    for match in TOKENS.finditer(source):
        if match["directive"]:
            words = " ".join(re.sub(r"//.*|/\*.*?\*/", "", match[0]).split())
            found += [] if re.match(r'# ?include ?"', words) else [f"{words}\n"]
        elif not match["comment"]:
            found.append(match[0])
    return " ".join(found)
