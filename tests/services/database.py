"""A PostgreSQL cluster with one user, who has a password."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.services.server import HOST, Server, free_port, own_folder, running

USER = "horizon"
DEBIAN = Path("/usr/lib/postgresql")
CARELESS = ("fsync=off", "full_page_writes=off")  # a commit outlives the server, but not the machine


@dataclass
class Postgres(Server):
    """The server; `kill` ends it without a word to its clients and without tidying up."""

    password: str = ""

    def url(self, database: str) -> str:
        """The address of a database, as SQLAlchemy wants it; the database is made where there is none."""
        with closing(self.connect("postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{database}"')
        return f"postgresql+psycopg2://{USER}:{self.password}@{self.address}/{database}"

    def connect(self, database: str) -> psycopg2.extensions.connection:
        """A connection to a database."""
        given = {"user": USER, "password": self.password, "dbname": database}
        return psycopg2.connect(host=HOST, port=self.port, connect_timeout=5, **given)

    def dump(self, database: str) -> str:
        """All that a database holds, as SQL."""
        command = [binary("pg_dump"), "--host", HOST, "--port", str(self.port), "--username", USER, database]
        environment = os.environ | {"PGPASSWORD": self.password}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True


@contextmanager
def postgres(durable: bool = False) -> Iterator[Postgres]:
    """A cluster of its own; a durable one waits for the disk at each commit, as a real one does."""
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    with own_folder(user) as folder:
        password = secrets.token_hex(16)
        made(folder / "data", password, user)
        port = free_port()
        command = [binary("postgres"), "-D", str(folder / "data"), "-p", str(port)]
        settings = [f"listen_addresses={HOST}", "unix_socket_directories=", *(() if durable else CARELESS)]
        command += [word for setting in settings for word in ("-c", setting)]
        ends = {"stopping": signal.SIGINT, "killing": signal.SIGQUIT}  # fast and immediate, in its words
        server = Postgres(command, port, folder, {}, user, **ends, password=password)
        with running(server):
            yield server


def made(data: Path, password: str, user: str | None) -> None:
    """Make the files of a cluster whose user has a password."""
    file = data.with_name("password")
    file.write_text(password)
    command = [binary("initdb"), "-D", str(data), "--username", USER, "--pwfile", str(file), "--auth", "scram-sha-256"]
    command += ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
    if user is not None:
        shutil.chown(file, user)
    subprocess.run(command, cwd=data.parent, user=user, check=True, capture_output=True)
    file.unlink()


def binary(name: str) -> str:
    """The path of a program of PostgreSQL, which Debian keeps beside the search path."""
    newest = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = shutil.which(name) if not newest else str(newest[-1])
    if found is None:
        raise FileNotFoundError(f"{name} is not here: install PostgreSQL (apt-get install postgresql)")
    return found
