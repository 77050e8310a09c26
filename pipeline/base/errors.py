"""What a user did wrong, in one sentence: the setting, its rule, and the value that broke it."""

LONGEST = 200  # signs of a value that a sentence shows


class UserError(Exception):
    """Ends a command with its message, one clear sentence, and a non-zero status; no traceback."""


def require(kept: bool, setting: str, rule: str, value: object) -> None:
    """Raise `UserError` unless the rule is kept: `training.length must be at least 1; got -3`."""
    if not kept:
        raise UserError(f"{setting} {rule}; got {shown(value)}")


def shown(value: object) -> str:
    """A value as a sentence shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
