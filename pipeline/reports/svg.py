"""Figures as part of a page: an SVG file made into an element that takes the page's colours and has words for it."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, ParseError

from markupsafe import Markup

from pipeline.base.errors import UserError, first_line
from pipeline.records.reading import MAKER

THEMED = {  # colours of pipeline/figures, and the names that the page's style gives them
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
WIDTH = 432.0  # points, where a figure does not say


def inline(path: Path, name: str, words: str, maker: str = MAKER) -> Markup:
    """Return the <svg> element of a file; its ids begin with its name in the page, so that none comes twice.

    `words` are read aloud. Raises `UserError` where the file is no figure of ours.
    """
    root = _read(path, maker)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _adapted(_local(key), value, f"figure-{name}-") for key, value in element.attrib.items()
        }
    if any(map(_runs, root.iter())):
        raise UserError(f"{path} is no figure of ours, for it holds a script; {maker} makes it anew")
    for unwanted in root.findall("metadata"):
        root.remove(unwanted)
    kept = {key: value for key, value in root.attrib.items() if key not in ("width", "height", "version")}
    box = kept.get("viewBox", "").split()
    width = float(box[2]) if len(box) == 4 else WIDTH
    root.attrib = {"role": "img", "aria-label": words, "style": f"max-width: {width:.0f}pt", **kept}
    return Markup(ElementTree.tostring(root, encoding="unicode").strip())


def _read(path: Path, maker: str) -> Element:
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ParseError, ValueError, LookupError) as error:
        raise UserError(f"{path} can't be read as a figure ({first_line(error)}); {maker} makes it anew") from error
    if _local(root.tag) != "svg":
        raise UserError(f"{path} is no figure, but <{_local(root.tag)}>; {maker} makes it anew")
    return root


def _local(name: str) -> str:
    """Return a name without its namespace: in a page, a browser knows what belongs to SVG."""
    return name.rpartition("}")[2]


def _adapted(key: str, value: str, prefix: str) -> str:
    """Return an attribute with the names and colours of the page."""
    if key == "id":
        return f"{prefix}{value}"
    if key == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    if key == "style":
        return "; ".join(_declaration(each.strip(), prefix) for each in value.split(";") if each.strip())
    return _value(value, prefix)


def _declaration(text: str, prefix: str) -> str:
    name, colon, value = text.partition(":")
    return f"{name}{colon} {_value(value.strip(), prefix)}"


def _value(value: str, prefix: str) -> str:
    return THEMED.get(value.lower(), value.replace("url(#", f"url(#{prefix}"))


def _runs(element: Element) -> bool:
    """Return True if an element can run code."""
    attributes = element.attrib.items()
    named = any(key.lower().startswith("on") or "javascript:" in value.lower() for key, value in attributes)
    return element.tag.lower() in ("script", "foreignobject") or named
