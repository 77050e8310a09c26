"""The colors of the cells, in figures and in MLflow; without matplotlib, so that any command may ask for them."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""In the order of the grid. Okabe & Ito 2008: safe for color blindness."""

PALE, DARK = "#DCEBF5", "#00395C"
"""The ends of a scale of one hue, that of the first color."""
BRIGHT = 0.45  # luminance from which on dark words are read better than white ones


def ramp(share: float) -> str:
    """Return the color at a share, 0 to 1, of the way from pale to dark, by way of the first color."""
    share = min(max(share, 0.0), 1.0)
    low, high, way = (PALE, COLORS[0], 2 * share) if share < 0.5 else (COLORS[0], DARK, 2 * share - 1)
    mixed = (round((1 - way) * a + way * b) for a, b in zip(_parts(low), _parts(high), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def ink(color: str) -> str:
    """Return the color of words on a color."""
    red, green, blue = (part / 255 for part in _parts(color))
    return "#1b1f24" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > BRIGHT else "#fefefe"


def _parts(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
