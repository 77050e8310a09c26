"""Two texts of one meaning have one digest, and texts of different meanings have two."""

from pathlib import Path

import pytest

from pipeline.base.meaning import Code, tokens

BASE = {
    "fit.py": '''
"""Fits."""

import numpy as np
from math import exp

from pipeline.base.errors import require
from pipeline.rates import RATE, halved

STEPS = 100  # updates


def fit(steps: int, rate: float = RATE) -> float:
    """Return a loss."""
    require(steps > 0, "steps", "must be above 0", steps)
    total: float = np.zeros(1)[0]
    for step in range(steps):
        total += exp(-halved(rate) * step)
    if total < 0:
        raise ValueError("a loss is above 0")
    return total


class Options:
    """What a fit is told."""

    goal: float  # loss
    kept: int = 3
''',
    "rates.py": "RATE = 0.1\n\n\ndef halved(rate):\n    return rate / 2\n",
    "other.py": "RATE = 0.1\n\n\ndef halved(rate):\n    return rate / 2.5\n",
    "base/errors.py": "def require(condition, *words):\n    if not condition:\n        raise ValueError(words)\n",
}


def code(folder: Path, files: dict[str, str], aside: tuple[str, ...] = ("base",)) -> Code:
    for name, content in files.items():
        path = folder / "pipeline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Code(folder, aside=aside)


def digest(folder: Path, **edited: str) -> str:
    """The digest of fit.py and rates.py, with other texts for some files."""
    made = code(folder, BASE | {f"{name}.py": content for name, content in edited.items()})
    return made.digest(made.below("fit.py", "rates.py"))


def edit(before: str, after: str) -> str:
    assert before in BASE["fit.py"]
    return BASE["fit.py"].replace(before, after)


SAME = {
    "a docstring": ('"""Return a loss."""', '"""Return the loss after `steps` steps."""'),
    "a docstring less": ('    """Return a loss."""\n', ""),
    "a comment": ("  # updates", "  # optimizer steps"),
    "white space": ("STEPS = 100", "STEPS  =  (100)"),
    "a type hint": ("steps: int,", "steps: 'int | None',"),
    "a type hint less": ("total: float = np", "total = np"),
    "the hint of a field": ("goal: float", "goal: int"),
    "the order of imports": (
        "import numpy as np\nfrom math import exp\n",
        "from math import exp\nimport numpy as np\n",
    ),
    "an import under another name": ("numpy as np", "numpy as n"),
    "an import of a module": ("from math import exp", "import math"),
    "the words of an error": ("a loss is above 0", "the loss must be above 0"),
    "the words of a rule": ("must be above 0", "is a number of updates"),
    "an alias of a type": ("STEPS = 100", "Loss: TypeAlias = float\nSTEPS = 100"),
    "imports for type checkers": ("STEPS = 100", "if TYPE_CHECKING:\n    import torch\nSTEPS = 100"),
    "the order of definitions": ("STEPS = 100  # updates\n", ""),
}
FOLLOWS = {  # what the same edit changes further on
    "an import under another name": ("np.zeros", "n.zeros"),
    "an import of a module": ("exp(-", "math.exp(-"),
    "the order of definitions": ("    kept: int = 3\n", "    kept: int = 3\n\n\nSTEPS = 100\n"),
}


@pytest.mark.parametrize("what", SAME)
def test_code_of_the_same_meaning_has_the_same_digest(what: str, tmp_path: Path) -> None:
    text = edit(*SAME[what])
    if what in FOLLOWS:
        assert FOLLOWS[what][0] in text
        text = text.replace(*FOLLOWS[what])
    assert text != BASE["fit.py"]
    assert digest(tmp_path / "a") == digest(tmp_path / "b", fit=text)


OTHER = {
    "a constant": ("STEPS = 100", "STEPS = 101"),
    "a whole number for another number": ("STEPS = 100", "STEPS = 100.0"),
    "truth for a number": ("kept: int = 3", "kept: int = True"),
    "a default": ("rate: float = RATE", "rate: float = 0.2"),
    "an operator": ("-halved(rate)", "halved(rate)"),
    "a comparison": ("total < 0", "total <= 0"),
    "the condition of a rule": ("steps > 0", "steps > 1"),
    "the kind of an error": ("raise ValueError", "raise TypeError"),
    "a function of another library": ("from math import exp", "from numpy import exp"),
    "a function of another module here": ("pipeline.rates import RATE, halved", "pipeline.other import RATE, halved"),
    "the name of a field": ("goal: float", "aim: float"),
    "the order of fields": ("    goal: float  # loss\n    kept: int = 3\n", "    kept: int = 3\n    goal: float\n"),
    "a field less": ("    goal: float  # loss\n", ""),
    "a constant for a field": ("kept: int = 3", "kept = 3"),
    "a statement more": ("    return total", "    total = 0\n    return total"),
    "the order of statements": ("total: float = np.zeros(1)[0]\n    for", "for"),
    "a decorator": ("def fit", "@cache\ndef fit"),
    "a text": ("STEPS = 100", 'STEPS = "100"'),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHER)
def test_code_of_another_meaning_has_another_digest(what: str, tmp_path: Path) -> None:
    assert digest(tmp_path / "a") != digest(tmp_path / "b", fit=edit(*OTHER[what]))


def test_a_change_in_what_is_imported_changes_the_meaning_of_what_imports_it(tmp_path: Path) -> None:
    first = code(tmp_path / "a", BASE)
    second = code(tmp_path / "b", BASE | {"rates.py": BASE["rates.py"].replace("rate / 2", "rate / 3")})
    assert first.digest(["fit.py"]) != second.digest(["fit.py"])
    third = code(tmp_path / "c", BASE | {"base/errors.py": "def require(condition, *words):\n    assert condition\n"})
    assert first.digest(["fit.py"]) == third.digest(["fit.py"])  # it is aside


def test_files_that_are_moved_renamed_or_merged_mean_the_same(tmp_path: Path) -> None:
    first = code(tmp_path / "a", BASE)
    before = first.digest(first.below("fit.py", "rates.py"))
    text = BASE["fit.py"].replace("pipeline.rates", "pipeline.room.speeds")
    moved = code(tmp_path / "b", {"room/loop.py": text, "room/speeds.py": BASE["rates.py"], **BASE})
    assert moved.digest(moved.below("room")) == before
    body = BASE["fit.py"].replace("from pipeline.rates import RATE, halved\n", "")
    merged = code(tmp_path / "c", {"room.py": body + BASE["rates.py"], **BASE})
    alone = {each.split(" ")[0] for each in merged.meaning("room.py")}
    assert len(alone & set(first.meaning("fit.py") + first.meaning("rates.py"))) == 4  # all but what names the moved


def test_a_module_and_a_name_of_it_are_imported_alike(tmp_path: Path) -> None:
    text = BASE["fit.py"].replace("from pipeline.rates import RATE, halved", "from pipeline import rates")
    text = text.replace("= RATE", "= rates.RATE").replace("halved(", "rates.halved(")
    assert digest(tmp_path / "a") == digest(tmp_path / "b", fit=text)


def test_a_name_that_a_room_hands_on_is_what_it_is_where_it_is_defined(tmp_path: Path) -> None:
    text = BASE["fit.py"].replace("pipeline.rates", "pipeline.room")
    handed = code(
        tmp_path / "a", BASE | {"room/__init__.py": "from pipeline.rates import RATE, halved\n", "fit.py": text}
    )
    assert handed.digest(["fit.py"]) == code(tmp_path / "b", BASE).digest(["fit.py"])
    assert handed.reached("fit.py") == {"fit.py", "rates.py"}


FILES = {
    "a.py": "from pipeline import b\n\ndef f():\n    from pipeline.room.c import C\n",
    "b.py": "import numpy\nfrom pipeline.aside import x\n",
    "aside.py": "from pipeline.d import x\n",
    "d.py": "x = 1\n",
    "room/c.py": "from pipeline.a import f\nclass C: ...\n",
    "room/deep/native.cpp": "int x;\n",
    "room/unreached.py": "",
}


def test_what_is_reached_ends_at_what_is_aside_and_holds_the_native_sources_beside_it(tmp_path: Path) -> None:
    made = code(tmp_path, FILES, aside=("aside.py",))
    assert made.reached("a.py") == {"a.py", "b.py", "room/c.py", "room/deep/native.cpp"}
    assert made.reached("room/c.py", within="room") == {"room/c.py", "room/deep/native.cpp"}
    assert made.below("room") == {"room/c.py", "room/unreached.py", "room/deep/native.cpp"}
    assert made.module_of("pipeline.room.c.C.of") == "room/c.py"
    with pytest.raises(ValueError, match="lies in no module of pipeline"):
        made.module_of("torch.optim.Adam")


NATIVE = """#include "simd.h"
#include <cmath> // exp
#define LANES 8
/* One step. */
float step(float x) { // of a cell
    return exp(x) - -1.0f; }
const char *name = "// no comment";
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("/* One step. */", ""), (" // of a cell", ""), ("simd.h", "vectors.h"), ("exp(x)", "exp( x )"), (" }", "\n}")],
)
def test_cpp_counts_without_comments_and_white_space(before: str, after: str) -> None:
    assert before in NATIVE
    assert tokens(NATIVE.replace(before, after)) == tokens(NATIVE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1.0f", "2.0f"),
        ("- -", "--"),
        ("<cmath>", "<math.h>"),
        ("LANES 8", "LANES 4"),
        ("8\n/* One step. */\n", "8 "),
        ("no comment", ""),
    ],
)
def test_cpp_counts_by_its_tokens(before: str, after: str) -> None:
    assert before in NATIVE
    assert tokens(NATIVE.replace(before, after)) != tokens(NATIVE)
