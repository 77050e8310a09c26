"""MLflow's tables made once: a new database in a file is then a copy, and takes milliseconds where it took a second.

What MLflow itself makes is tested where a command starts cold: in tests/docs/test_readme.py and tests/tracking.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from typing import Any

import sqlalchemy


def copied(make: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a function that fills a new database like `make`, but for a file runs `make` only the first time."""

    @cache
    def template() -> bytes:
        with closing(sqlite3.connect(":memory:", check_same_thread=False)) as memory:
            make(sqlalchemy.create_engine("sqlite://", creator=lambda: memory, poolclass=sqlalchemy.StaticPool))
            return memory.serialize()

    def fill(engine: sqlalchemy.Engine) -> None:
        path = engine.url.database
        if engine.dialect.name != "sqlite" or not path:
            return make(engine)
        with closing(sqlite3.connect(":memory:")) as memory, closing(sqlite3.connect(path)) as file:
            memory.deserialize(template())
            memory.backup(file)
        return None

    return fill


def use_copies() -> None:
    """Make MLflow copy its tables in this process, and in its forks."""
    import mlflow.store.db.utils as mlflow

    if mlflow._initialize_tables.__module__ != __name__:
        mlflow._initialize_tables = copied(mlflow._initialize_tables)
