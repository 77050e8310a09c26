"""Many cells in one library, which every process of the tests shares.

Half of what it costs to compile a cell is the same for all cells, and what -O3 adds is speed: one library at -O1 takes
ten seconds where one for each cell at -O3 takes two minutes. With draws of its own (`make test-long`) it is -O3.
"""

import ctypes
import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import torch

from pipeline.cells.cell import Cell
from pipeline.kernels import build
from pipeline.kernels.compiler.compile import compiled
from tests.base import draws
from tests.kernels.oracle import make_weights

FLAGS = build.FLAGS if draws.OTHERS else tuple(flag if flag != "-O3" else "-O1" for flag in build.FLAGS)


class Member(NamedTuple):
    """The functions of one cell, named as in a library of its own."""

    scratch: Callable[..., int]
    forward: Callable[..., None]
    backward: Callable[..., None]


def sources(cells: Sequence[Cell], dtype: torch.dtype, channels: int = 2) -> list[str]:
    """Return the C++ of those cells that have one, each once; it does not depend on the number of channels."""
    weights = [cell.materialise(make_weights(cell, 1, channels, dtype=dtype)) for cell in cells]
    found = [compiled(cell, own, channels).native for cell, own in zip(cells, weights, strict=True)]
    return list(dict.fromkeys(program.source for program in found if program is not None))


@contextmanager
def compiled_together(cells: Callable[[torch.dtype], Sequence[Cell]]) -> Iterator[None]:
    """Serve these cells by one library for each type of numbers, built when the first of them is asked for."""
    alone = build.passes

    @cache
    def members(dtype: torch.dtype) -> dict[str, Member]:
        with torch.enable_grad():  # a forward pass may be what asks first, and making a cell tries it
            return _members(sources(cells(dtype), dtype), build.NUMBERS[dtype])

    def library(source: str, dtype: torch.dtype) -> Member | ctypes.CDLL | None:
        return members(dtype).get(source) or alone(source, dtype)

    build.passes = library  # type: ignore[assignment]
    try:
        yield
    finally:
        build.passes = alone


def _members(texts: Sequence[str], number: str) -> dict[str, Member]:
    lines = ['#include "threads.h"']
    for i, text in enumerate(texts):
        assert text.count("struct Cell {") == 1
        lines += [text.replace("struct Cell {", f"struct Cell{i} {{"), 'extern "C" {']
        lines += [f"long scratch_{i}(const Problem* p) {{ return scratch_size<Cell{i}, {number}>(*p); }}"]
        for way in ("Forward", "Backward"):
            lines += [f"void {way.lower()}_{i}(const Problem* p) {{ run<{way}Pass, Cell{i}, {number}>(*p); }}"]
        lines += ["}"]
    opened = _library("\n".join([*lines, 'extern "C" { int scratch, forward, backward; }', ""]))
    members = {}
    for i, text in enumerate(texts):
        functions = [opened[f"{name}_{i}"] for name in Member._fields]
        functions[0].restype, functions[1].restype, functions[2].restype = ctypes.c_long, None, None
        members[text] = Member(*functions)
    return members


def _library(source: str) -> ctypes.CDLL:
    """Return the library of this text: the first process compiles it, the others wait."""
    before, build.FLAGS = build.FLAGS, FLAGS  # type: ignore[assignment]
    build._surroundings.cache_clear()
    folder = next(build.cache_directories())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / "tests.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return build._load(source, build._compiler())
    finally:
        build.FLAGS = before
        build._surroundings.cache_clear()
