"""Progress is right from the first line after a resume, and never stops a run."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from tasks.report.progress import Progress


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def plain(clock, **options):
    stream = io.StringIO()
    return Progress(stream=stream, clock=clock, **options), stream


def test_plain_lines_come_at_most_every_ten_seconds(clock):
    progress, stream = plain(clock)
    progress.start(100, 0, None)
    for _ in range(60):
        clock.now += 0.5
        progress.advance(1, Decimal("0.01"))

    assert [
        "  0% 0/100 rows · $0",
        " 20% 20/100 rows · $0.20 · 2.0 rows/s · 40 s to go",
        " 40% 40/100 rows · $0.40 · 2.0 rows/s · 30 s to go",
        " 60% 60/100 rows · $0.60 · 2.0 rows/s · 20 s to go",
    ] == stream.getvalue().splitlines()


def test_a_resumed_run_counts_what_is_done_but_not_into_the_rate(clock):
    progress, stream = plain(clock)
    progress.start(1_000, 900, Decimal(20), already_spent=Decimal(9))
    clock.now += 10
    progress.advance(50, Decimal("0.5"))

    assert [
        " 90% 900/1,000 rows · $9.00 of $20.00 · 900 done before",
        " 95% 950/1,000 rows · $9.50 of $20.00 · 5.0 rows/s · 10 s to go",
    ] == stream.getvalue().splitlines()


def test_the_last_line_says_how_the_session_ended_and_comes_once(clock):
    progress, stream = plain(clock)
    progress.start(4, 0, None)
    clock.now += 2
    progress.advance(4, Decimal(0))
    progress.finish()
    progress.finish()

    assert ["  0% 0/4 rows · $0", "100% 4/4 rows · $0 · 2.0 rows/s · 2.0 s in this session"] == (
        stream.getvalue().splitlines()
    )


def test_pairs_in_trouble_are_named_until_they_are_well(clock):
    progress, _ = plain(clock)
    progress.start(4, 0, None)
    progress.trouble("gpt@@none", "rate limited")

    assert progress.text().endswith("gpt + none: rate limited")

    progress.trouble("gpt@@none", None)

    assert "gpt" not in progress.text()


def test_notes_are_written_at_once(clock):
    progress, stream = plain(clock)
    progress.note("stopping: rows in flight finish first\x1b[2J")

    assert "stopping: rows in flight finish first\ufffd[2J\n" == stream.getvalue()


def test_money_alone_moves_no_row(clock):
    progress, _ = plain(clock)
    progress.start(2, 0, None)
    progress.advance(0, Decimal("1.5"))

    assert "0/2 rows · $1.50" == progress.text()


def test_an_empty_run_is_done(clock):
    progress, stream = plain(clock)
    progress.start(0, 0, None)

    assert "100% 0/0 rows · $0\n" == stream.getvalue()


def test_a_terminal_gets_one_line_with_a_bar_and_notes_above_it(clock):
    stream = io.StringIO()
    progress = Progress(stream=stream, live=True, clock=clock)
    progress.start(10, 0, None)
    clock.now += 1
    progress.advance(5, Decimal(1))
    progress.note("gpt is rate limited [5 s]")
    progress.finish()

    text = stream.getvalue()
    assert "━" in text
    assert "5/10 rows · $1.00" in text
    assert "gpt is rate limited [5 s]" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("live", [True, False])
def test_a_closed_stream_stops_nothing(clock, live):
    stream = io.StringIO()
    progress = Progress(stream=stream, live=live, clock=clock)
    progress.start(10, 0, None)
    stream.close()
    clock.now += 100
    progress.advance(5, Decimal(1))
    progress.note("still here")
    progress.finish()

    assert progress.text().startswith("5/10 rows")


def test_by_default_it_writes_to_standard_error(capsys, clock):
    progress = Progress(clock=clock)
    progress.start(1, 0, None)

    captured = capsys.readouterr()
    assert ("", "  0% 0/1 rows · $0\n") == (captured.out, captured.err)
