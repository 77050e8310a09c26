"""Commands as forks of one process that has imported everything: a start costs hundredths of a second, not seconds.

`programs()` returns a folder with a `python` and a `dvc` to stand first in $PATH. They hand `python -m pipeline.NAME`,
`python -m tests.NAME` and `dvc` to the warm process, which forks; everything else goes to the real ones. The fork has
the caller's words, folder, environment and files, imports the project of its folder where that is a copy, takes the
caller's signals, and is killed with it. A cold start of each command is tested in tests/docs/test_readme.py.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("pipeline", "tests")  # packages that a copy of the project has as well
READY = b"ready\n"

PROGRAM = r"""#!{python} -IS
import json, os, signal, socket, sys
words, name = sys.argv[1:], os.path.basename(sys.argv[0])
if name == "dvc":
    words = ["-m", "dvc", *words]
if words[:1] != ["-m"] or words[1:2] != ["dvc"] and not words[1].startswith(("pipeline.", "tests.")):
    os.execv({python!r}, [{python!r}, *words])
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.connect({address!r})
call = json.dumps([words[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
server.sendall(call)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: server.sendall(bytes([number])))
status = int(server.makefile().readline() or 1)
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


_servers: list[int] = []  # process numbers


def spent() -> float:
    """Return the processor time of the warm process and of its forks that have ended [s]."""
    stats = [Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[11:15] for server in _servers]
    return sum(int(ticks) for each in stats for ticks in each) / os.sysconf("SC_CLK_TCK")


@cache
def programs() -> Path:
    """Start the warm process, once in a session; return the folder of its programs."""
    place = Path(tempfile.mkdtemp(prefix="warm-"))
    address = str(place / "socket")
    for name in ("python", "dvc"):
        (place / name).write_text(PROGRAM.format(python=sys.executable, address=address))
        (place / name).chmod(0o755)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.base.warm", address], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    atexit.register(_end, server, place)
    _servers.append(server.pid)
    assert server.stdout is not None and server.stdout.readline() == READY
    return place


def _end(server: "subprocess.Popen[bytes]", place: Path) -> None:
    server.kill()
    server.wait()
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


@dataclass
class Call:
    """A command that somebody waits for."""

    caller: socket.socket
    words: list[str]
    folder: str
    environment: dict[str, str]
    files: list[int]  # standard input, output and error

    @classmethod
    def received(cls, caller: socket.socket) -> "Call":
        """Read a call as PROGRAM sends it."""
        head, files, _, _ = socket.recv_fds(caller, 4, 3)
        size, text = int.from_bytes(head, "big"), b""
        while len(text) < size:
            text += caller.recv(size - len(text))
        return cls(caller, *json.loads(text), files=files)

    def become(self) -> None:
        """In a fork: take on the caller's folder, files and environment."""
        os.chdir(self.folder)
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(self.environment)
        sys.orig_argv = [sys.executable, "-m", *self.words]
        sys.path[0] = self.folder
        if Path(self.folder).resolve() != ROOT and Path(self.folder, "pipeline").exists():
            for name in [name for name in sys.modules if name.partition(".")[0] in OURS and name != __name__]:
                del sys.modules[name]
        importlib.invalidate_caches()

    def work(self) -> None:
        """Run the command, like `python -m`."""
        module, *sys.argv[1:] = self.words
        sys.argv[0] = "-m"
        if module == "dvc":
            from dvc.cli import main

            sys.exit(main(sys.argv[1:]))
        sys.modules.pop(module, None)  # which runpy would warn of
        runpy.run_module(module, run_name="__main__", alter_sys=True)


@dataclass
class Server:
    """Takes calls, forks, and tells each caller how its command ended."""

    address: str
    calls: dict[int, Call] = field(default_factory=dict)  # by the process that works

    def serve(self) -> Callable[[], None]:
        """Never return in this process; in a fork, return its work."""
        ended, wake = socket.socketpair()
        ended.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.address)
        listener.listen(64)
        self.selector = selectors.DefaultSelector()
        for each in (ended, listener):
            self.selector.register(each, selectors.EVENT_READ)
        print(READY.decode(), end="", flush=True)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is ended:
                    ended.recv(4096)
                    self.tell()
                elif key.fileobj is listener:
                    call = Call.received(listener.accept()[0])
                    if work := self.begin(call):
                        return work
                else:
                    self.pass_on(key.data)

    def begin(self, call: Call) -> Callable[[], None] | None:
        """Fork; return the work in the fork, and None here."""
        process = os.fork()
        if process:
            self.calls[process] = call
            self.selector.register(call.caller, selectors.EVENT_READ, process)
            for file in call.files:
                os.close(file)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        call.become()
        for each in list(self.selector.get_map().values()):
            each.fileobj.close()
        self.selector.close()  # else a later collection closes a number that another file has by then
        os.closerange(3, 256)
        return call.work

    def pass_on(self, process: int) -> None:
        """Send a process the signal that its caller was sent, or kill it where the caller is gone."""
        call = self.calls[process]
        try:
            numbers = call.caller.recv(16) or bytes([signal.SIGKILL])
        except ConnectionResetError:
            numbers = bytes([signal.SIGKILL])
        for number in numbers:
            os.kill(process, number)
        if numbers[-1] == signal.SIGKILL:
            self.selector.unregister(call.caller)

    def tell(self) -> None:
        """Tell the callers of all processes that have ended."""
        for process in list(self.calls):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                call = self.calls.pop(process)
                if call.caller in self.selector.get_map():
                    self.selector.unregister(call.caller)
                with suppress(BrokenPipeError, ConnectionResetError):
                    call.caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                call.caller.close()


def import_everything() -> None:
    """Import every module of the project, and DVC; make a database of MLflow, so that later ones are copies."""
    import mlflow

    import pipeline
    from tests.base import stores

    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        importlib.import_module(module.name)
    for name in ("dvc.cli", "dvc.cli.parser", "dvc.repo", "tests.faults.real", "tests.runs.killed_search"):
        importlib.import_module(name)
    stores.use_copies()
    with tempfile.TemporaryDirectory() as place:
        mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")


def main() -> None:
    """Serve at an address until killed; a fork leaves the loop and ends as a command does."""
    import_everything()
    gc.freeze()  # so that a fork's collections leave what it shares alone
    assert threading.active_count() == 1, threading.enumerate()
    work = Server(sys.argv[1]).serve()
    status = ended(work)
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # to take the modules apart would cost as much as a small command


def ended(work: Callable[[], None]) -> int:
    """Do the work; return its status, as the interpreter would."""
    try:
        work()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    main()
