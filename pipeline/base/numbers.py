"""Numbers as results keep them: few digits, so that the same trials give the same bytes."""

from math import isfinite, log10

LOG10_2 = log10(2.0)  # log10 of a number whose log2 is 1


def significant(value: float, digits: int = 6) -> float:
    """Return a finite value to this many significant digits."""
    return float(f"{value:.{digits}g}")


def finite(value: float, digits: int = 6) -> float | None:
    """Return the value to this many significant digits; None where it is not finite."""
    return significant(value, digits) if isfinite(value) else None
