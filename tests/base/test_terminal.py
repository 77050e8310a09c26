"""Off a terminal a command says plain lines and no more; on one it draws a bar and a table."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from pipeline.base.terminal import Display, duration, open_display

COLUMNS = ("text", "answer", "left")


def test_off_a_terminal_there_are_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with open_display("adding-rnn") as shown:
        for update in range(1000):
            shown.progress(update / 1000, f"update {update}")  # too soon for a line
        shown.print("T=8: 4 of 4 solved")
        shown.print_summary({"horizon T50": "12", "files": "results", "MLflow": ""})
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "adding-rnn: T=8: 4 of 4 solved",
        "adding-rnn: horizon T50  12",
        "adding-rnn: files        results",
    ]


def test_a_line_now_and_then_says_what_goes_on_and_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.base.terminal.EVERY", 0.0)
    shown = Display("adding-rnn", None)
    shown._began -= 30  # seconds ago
    shown.progress(0.25, "T=8", "horizon 6 to 20")
    assert capsys.readouterr().out == "adding-rnn:  25 % T=8; horizon 6 to 20; up to 90 s left\n".replace(
        "90 s", "2 min"
    )


def test_on_a_terminal_the_bar_holds_the_answer_and_the_summary_keeps_addresses_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=60)
    columns = [TextColumn("{task.fields[" + name + "]}") for name in COLUMNS]
    address = "http://127.0.0.1:5000/#/experiments/1/runs/" + 32 * "a" + "?workflowType=machine_learning"
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        shown = Display("adding-rnn", bar)
        shown.progress(0.5, "T=8", "horizon 6 to 20", "about 3 s left")
        bar.refresh()
        shown.print_summary({"MLflow": address})
    assert all(words in drawn.getvalue() for words in ("T=8", "horizon 6 to 20", "about 3 s left", address))


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (89.0, "89 s"), (90.0, "2 min"), (7200.0, "2.0 h")])
def test_a_length_of_time_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_terminal_is_told_by_the_stream_and_not_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with open_display("adding-rnn") as shown:
        assert shown._bar is not None


def test_output_that_nobody_reads_any_more_ends_no_work(tmp_path: Path) -> None:
    """As in `python -m pipeline.search … | head -1`."""
    work = f"""
from pathlib import Path
from pipeline.base.terminal import open_display
with open_display("adding-rnn") as shown:
    for number in range(10_000):
        shown.print("line " + str(number))
    shown.print_summary({{"horizon T50": "12"}})
Path({str(tmp_path / "done")!r}).touch()
"""
    worker = subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert worker.stdout and worker.stderr
    assert worker.stdout.readline() == "adding-rnn: line 0\n"
    worker.stdout.close()
    assert (worker.wait(60), worker.stderr.read()) == (0, "")
    assert (tmp_path / "done").exists()
    worker.stderr.close()
