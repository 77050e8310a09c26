"""Whether a sqlite file is the store that it should be, asked before anybody writes to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.base.errors import UserError

PATIENCE = 100  # seconds that a process waits for another one's write


def require_store(path: Path, table: str) -> None:
    """Raise `UserError` where a file is damaged or is no sqlite database with this table.

    No file, or an empty one, is a store that nobody has written to yet. What a killed process left half done, sqlite
    puts right as it opens the file.
    """
    if not (path.exists() or path.is_symlink()) or (path.is_file() and not path.stat().st_size):
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=PATIENCE, uri=True)) as opened:
            tables = {name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")}
            (page,) = opened.execute("pragma page_size").fetchone()
    except sqlite3.Error as error:
        raise UserError(
            f"{path} can't be read as a database of {table} ({error}); move it away to begin anew"
        ) from error
    if path.stat().st_size % page:
        raise UserError(f"{path} is a damaged database, for its last page is cut; move it away to begin anew")
    if tables and table not in tables:
        raise UserError(f"{path} is a database of something else, for it has no {table}; move it away to begin anew")
