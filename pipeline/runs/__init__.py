"""What a command does between the settings and the libraries; and `load`, which reads what a training wrote."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.runs.weights import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import `load` where it is used: a command that trains nothing does without torch."""
    if name == "load":
        from pipeline.runs.weights import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
