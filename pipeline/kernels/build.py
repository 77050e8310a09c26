"""Compiles recurrence.cpp on first use and keeps the library in the user's cache.

The cache is keyed by source, flags, compiler and processor. Several processes may build at once: each writes a file of
its own and renames it into place. Where there is no compiler, or it fails, there is one warning and no library.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("recurrence.cpp")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread")
COMPILERS = ("g++", "clang++", "c++")  # tried in this order, unless $CXX names one
TIMEOUT = 600  # seconds that the compiler may take


@cache
def library() -> ctypes.CDLL | None:
    """The compiled passes, or None where they cannot be had, after a warning that says why."""
    try:
        return _load(_compiler())
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()[:500]
        warnings.warn(f"the fused kernels cannot be built, torch takes their place: {reason}", stacklevel=2)
        return None


def _load(compiler: str) -> ctypes.CDLL:
    target = cache_directory() / f"recurrence-{_key(compiler)}.so"
    if not target.exists():
        _build(compiler, target)
    try:
        return _open(target)
    except OSError:  # a damaged file
        _build(compiler, target)
        return _open(target)


def _open(target: Path) -> ctypes.CDLL:
    opened = ctypes.CDLL(str(target))
    for dtype in ("float32", "float64"):
        getattr(opened, f"scratch_{dtype}").restype = ctypes.c_long
        getattr(opened, f"forward_{dtype}").restype = None
        getattr(opened, f"backward_{dtype}").restype = None
    return opened


def _build(compiler: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=target.parent, suffix=".unfinished")
    os.close(handle)
    try:
        _run([compiler, *FLAGS, str(SOURCE), "-o", unfinished])
        Path(unfinished).replace(target)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/horizon-pipeline, by default under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "horizon-pipeline"


def _compiler() -> str:
    named = os.environ.get("CXX")
    for name in (named,) if named else COMPILERS:
        if found := shutil.which(name):
            return found
    raise RuntimeError(f"no C++ compiler found, looked for {named or ', '.join(COMPILERS)}")


def _key(compiler: str) -> str:
    parts = (SOURCE.read_text(), *FLAGS, compiler, _run([compiler, "--version"]), platform.machine(), _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """What -march=native depends on: the processor's name and its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = ("model name", "flags", "CPU implementer", "CPU part", "Features")
    return "\n".join(sorted({line for line in lines if line.startswith(names)}))


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout
