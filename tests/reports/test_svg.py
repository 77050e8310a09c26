"""An SVG file becomes a part of a page: in its colours, with names of its own, read aloud, and never run."""

from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.reports.svg import inline

DRAWN = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="432pt" height="260pt" viewBox="0 0 432 260"
 xmlns="http://www.w3.org/2000/svg" version="1.1">
<metadata>by whom</metadata>
<defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
<g id="a"><path d="M 0 0" style="fill: #0072b2; fill-opacity: 0.15; stroke: #123456"/></g>
<!-- a remark -->
<g clip-path="url(#b)"><use xlink:href="#a" x="1" style="stroke: #000000"/></g>
<clipPath id="b"><rect fill="#FFFFFF"/></clipPath>
<text>a &lt; b</text>
</svg>
"""
SHOWN = """<svg role="img" aria-label="a &quot;curve&quot;" style="max-width: 432pt" viewBox="0 0 432 260">
<defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
<g id="figure-mine-a"><path d="M 0 0" style="fill: var(--blue); fill-opacity: 0.15; stroke: #123456" /></g>

<g clip-path="url(#figure-mine-b)"><use href="#figure-mine-a" x="1" style="stroke: currentColor" /></g>
<clipPath id="figure-mine-b"><rect fill="none" /></clipPath>
<text>a &lt; b</text>
</svg>"""


def test_a_figure_has_the_colours_and_the_names_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text(DRAWN)
    assert inline(path, "mine", 'a "curve"') == SHOWN


@pytest.mark.parametrize(
    "harm",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        '<a xlink:href="javascript:alert(1)"/>',
        "<foreignObject/>",
        '<g ONCLICK="a"/>',
    ],
)
def test_a_script_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "a.svg"
    path.write_text(DRAWN.replace("<metadata>", f"{harm}<metadata>"))
    with pytest.raises(UserError, match=r"a\.svg is no figure of ours, for it holds a script"):
        inline(path, "mine", "words")


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)


@pytest.mark.parametrize("content", ["", "<html>no</html>", "<svg", "\x00", DRAWN[:300], f"{BOMB}]><svg>&j;</svg>"])
def test_what_is_no_figure_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.svg"
    path.write_text(content)
    with pytest.raises(UserError, match=r"a\.svg .*`it` makes it anew"):
        inline(path, "mine", "words", "`it`")


def test_a_missing_figure_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.svg is missing; `it` makes it"):
        inline(tmp_path / "a.svg", "mine", "words", "`it`")
