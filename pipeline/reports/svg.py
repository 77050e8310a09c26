"""Figures as part of a page: an SVG file made into an element that takes the page's colours and has words for it."""

import re
from pathlib import Path

from markupsafe import Markup, escape

from pipeline.base.errors import UserError

THEMED = {  # colours of figures.py, and the names that the page's style gives them
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--vermillion)",
    "#009e73": "var(--green)",
    "#cc79a7": "var(--purple)",
    "#e69f00": "var(--orange)",
    "#56b4e9": "var(--sky)",
    "#666666": "var(--grey)",
    "#dddddd": "var(--line)",
    "#b0b0b0": "var(--line)",
    "#000000": "currentColor",
    "#ffffff": "none",
}


def inline(path: Path, name: str, words: str) -> Markup:
    """The <svg> element of a file; its ids begin with its name in the page, so that none comes twice."""
    try:
        text = path.read_text()
        text = text[text.index("<svg") : text.index("</svg>") + len("</svg>")]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read as a figure ({error}); `dvc repro` makes it") from error
    if re.search(r"<script|\bon\w+\s*=|javascript:", text, flags=re.IGNORECASE):
        raise UserError(f"{path} is no figure of ours, for it holds a script; `dvc repro` makes it anew")
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: THEMED.get(found[0].lower(), found[0]), text)
    prefix = f"figure-{name}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'((?:xlink:)?href="|url\()#', rf"\1#{prefix}", text)
    width = re.search(r'viewBox="\S+ \S+ (\S+) ', text)
    head = f'<svg role="img" aria-label="{escape(words)}" style="max-width: {float(width[1]) if width else 432:.0f}pt"'
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    return Markup(re.sub("<svg", head, text, count=1))
