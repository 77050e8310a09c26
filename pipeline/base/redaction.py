"""What may be shown: addresses without the names and passwords that they hold. Those come from the environment only."""

import re

USERINFO = re.compile(r"(?<=://)[^/\s'\"]+@")  # a password may hold an @


def redacted(text: str) -> str:
    """The text with the user and the password of every address left out.

    >>> redacted("http://ann:secret@runs.example:5000/#/experiments")
    'http://***@runs.example:5000/#/experiments'
    """
    return USERINFO.sub("***@", text)


def without_user(address: str) -> str:
    """An address that a browser opens, where it asks for user and password itself.

    >>> without_user("http://ann:secret@runs.example:5000")
    'http://runs.example:5000'
    """
    return USERINFO.sub("", address)
