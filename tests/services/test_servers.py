"""The servers that other tests rely on: they answer, on loopback only, survive a restart, and leave nothing behind."""

import os
import socket
from pathlib import Path

import psycopg2
import pytest

from pipeline.base.errors import UserError
from pipeline.executors import dask
from pipeline.executors.dask import Dask
from tests import services
from tests.services.cluster import Certificate
from tests.services.server import Server, free_port, own_folder, running

pytestmark = [pytest.mark.service, pytest.mark.slow]


def processes_below(folder: Path) -> list[str]:
    """The command lines of this machine that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue  # it has just ended
        found += [line] if str(folder) in line else []
    return found


def listening(port: int) -> set[str]:
    """The addresses, in the kernel's hexadecimal, at which something listens on a port."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


def test_postgresql_keeps_what_was_committed_when_it_is_killed_and_leaves_nothing_behind() -> None:
    with services.postgres() as database:
        url = database.url("kept")
        with database.connect("kept") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE trial (number int); INSERT INTO trial VALUES (7)")
        database.restart()
        assert (database.url("kept"), "7" in database.dump("kept")) == (url, True)
        assert listening(database.port) == {"0100007F"}
        assert processes_below(database.folder)
        known, database.password = database.password, "guessed"
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            database.connect("kept")
        database.password = known
    assert not database.folder.exists() and not processes_below(database.folder)
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        database.connect("kept")


def test_a_cluster_with_tls_lets_in_who_has_its_key_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, strange = (Certificate.made(tmp_path / name) for name in ("mine", "strange"))
    given = {"workers": 1, "threads": 1, "memory": "1 GiB", "allowed_failures": 3, "patience": 0.0}
    with services.scheduler(mine) as cluster, services.worker(cluster, mine) as worker:
        assert (listening(cluster.port), listening(worker.port)) == ({"0100007F"}, {"0100007F"})
        files = {"ca_file": str(mine.cert), "cert": str(mine.cert), "key": str(mine.key)}
        with Dask(address=cluster.url, **given, **files) as executor:
            assert executor.submit(os.getpid).result(60) == worker.process.pid
        probe = {"ca_file": str(strange.cert), "cert": str(strange.cert), "key": str(strange.key)}
        monkeypatch.setattr(dask, "CONNECT", 2.0)
        with pytest.raises(UserError, match=r"^executor\.address has no scheduler"):
            Dask(address=cluster.url, **given, **probe).__enter__()
    assert not processes_below(worker.folder)


def test_a_server_that_can_not_start_says_why_and_is_gone() -> None:
    with socket.socket() as taken, own_folder() as folder:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        server = Server(["python", "-c", "raise SystemExit('the port is taken')"], port, folder)
        with pytest.raises(RuntimeError, match="the port is taken"), running(server):
            pass
        assert server.process is None
