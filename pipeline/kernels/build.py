"""Compile C++ on first use and keep the libraries in the user's cache.

A library's name holds a digest of its source, the headers, flags, compiler and processor. Its last bytes are a digest
of the bytes before them, checked before it is loaded. Several processes may build at once: each works in a folder of
its own and renames the result into place. Where there is no compiler, or it fails, or no folder takes a library, there
is one warning and no library.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

NATIVE = Path(__file__).with_name("native")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread")
COMPILERS = ("g++", "clang++", "c++")  # tried in this order, unless $CXX names one
TIMEOUT = 600  # [s] that the compiler may take
NUMBERS = {torch.float32: "float", torch.float64: "double"}
UNFINISHED = "unfinished-"
ERRORS = (OSError, RuntimeError, subprocess.SubprocessError)


@cache
def available() -> bool:
    """Return True if C++ can be compiled and loaded here; the first call tries."""
    try:
        _load('extern "C" { int scratch, forward, backward; }\n', _compiler())
    except ERRORS:
        return False
    return True


@cache
def passes(cell: str, dtype: torch.dtype) -> ctypes.CDLL | None:
    """Return the passes of the cell that this C++ defines as `Cell`, or None after a warning that says why not."""
    try:
        return _load(f'{cell}\n#include "threads.h"\nEXPORT(Cell, {NUMBERS[dtype]})\n', _compiler())
    except ERRORS as error:
        _warn((getattr(error, "stderr", None) or str(error)).strip()[:500])
        return None


@cache
def _warn(reason: str) -> None:
    """Warn once for each reason."""
    warnings.warn(f"the fused kernels cannot be built, torch takes their place: {reason}", stacklevel=4)


def _load(source: str, compiler: str) -> ctypes.CDLL:
    """Return the library from the first folder that serves; raises the first folder's error where none does."""
    name, first = f"{_key(source, compiler)}.so", None
    for folder in cache_directories():
        try:
            if not sound(folder / name):
                _build(source, compiler, folder / name)
            return _open(folder / name)
        except ERRORS as error:
            first = first or error
            if isinstance(error, subprocess.CalledProcessError) and "No space left" not in error.stderr:
                break  # another folder would not help
    raise first or RuntimeError("no folder for a cache")


def _open(target: Path) -> ctypes.CDLL:
    opened = ctypes.CDLL(str(target))
    opened.scratch.restype = ctypes.c_long
    opened.forward.restype = opened.backward.restype = None
    return opened


def sound(target: Path) -> bool:
    """Return True if the library is there, whole and as it was written."""
    try:
        content = target.read_bytes()
    except FileNotFoundError:
        return False
    return len(content) > 32 and hashlib.sha256(content[:-32]).digest() == content[-32:]


def _build(source: str, compiler: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(target.parent)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=UNFINISHED))
    try:
        (folder / "cell.cpp").write_text(source)
        _run([compiler, *FLAGS, f"-I{NATIVE}", "cell.cpp", "-o", "cell.so"], folder)
        built = folder / "cell.so"
        with built.open("ab") as file:
            file.write(hashlib.sha256(built.read_bytes()).digest())
        built.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_unfinished(folder: Path) -> None:
    """Remove what builds left that were killed."""
    for path in folder.glob(f"{UNFINISHED}*"):
        try:
            old = time.time() - path.stat().st_mtime > 2 * TIMEOUT
        except OSError:
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)


def cache_directories() -> Iterator[Path]:
    """Yield $XDG_CACHE_HOME/horizon-pipeline, by default under ~/.cache; then a private folder for temporary files."""
    named = os.environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home raises where there is none
    if named or home != "~":
        yield Path(named or Path(home) / ".cache") / "horizon-pipeline"
    if (private := _private()) is not None:
        yield private


def _private() -> Path | None:
    """Return a folder below that of temporary files that only this user may write to."""
    try:
        folder = Path(tempfile.gettempdir()) / f"horizon-pipeline-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if own else None


def _compiler() -> str:
    named = os.environ.get("CXX")
    for name in (named,) if named else COMPILERS:
        if found := shutil.which(name):
            return found
    raise RuntimeError(f"no C++ compiler found, looked for {named or ', '.join(COMPILERS)}")


def _key(source: str, compiler: str) -> str:
    return hashlib.sha256(f"{source}\0{_surroundings(compiler)}".encode()).hexdigest()[:16]


@cache
def _surroundings(compiler: str) -> str:
    """Return what a library depends on besides its own source."""
    headers = [path.read_text() for path in sorted(NATIVE.glob("*.h"))]
    return "\0".join([*headers, *FLAGS, compiler, _run([compiler, "--version"]), platform.machine(), _processor()])


def _processor() -> str:
    """Return what -march=native depends on: the processor's name and its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = ("model name", "flags", "CPU implementer", "CPU part", "Features")
    return "\n".join(sorted({line for line in lines if line.startswith(names)}))


def _run(command: list[str], folder: Path | None = None) -> str:
    """Return what the command prints; it works in this folder and leaves its temporary files there."""
    environment = {**os.environ, "TMPDIR": str(folder)} if folder else None
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=TIMEOUT, cwd=folder, env=environment
    )
    return done.stdout
