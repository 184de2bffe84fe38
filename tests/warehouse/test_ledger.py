"""The ledger's promises: what is claimed, settled or in doubt survives and is never miscounted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from warehouse.commits import CommitRecord
from warehouse.errors import LedgerBusyError, LedgerVersionError, WarehouseError
from warehouse.ledger import (
    ChunkCounts,
    Claim,
    Doubt,
    Failure,
    LedgerReader,
    LedgerWriter,
    Refusal,
    RunRecord,
    SentLog,
    Settlement,
    keep_ledger_beside,
    open_ledger,
    sent_log_path,
    sent_requests,
)
from warehouse.ledger.schema import meta
from warehouse.run_lock import is_live, run_lock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def run_record(run_id="r1"):
    return RunRecord(
        run_id=run_id,
        kind="route",
        state="running",
        input_path="backlog.jsonl",
        input_sha256="a" * 64,
        config_json="{}",
        config_sha="b" * 64,
        code_version="0.1.0",
        started_at=NOW,
        max_cost_usd=Decimal("1.5"),
        rows=3,
        unique_rows=3,
        chunks=2,
    )


def claim(request_id="q1", reserved=1_000_000):
    return Claim(request_id, "r1", "000000", "query-1", "m@@t", 0, "key", reserved, NOW)


@pytest.fixture
def ledger(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.create_run(run_record(), ["000000", "000001"])
    yield ledger
    ledger.close()


def only(ledger, **where):
    (request,) = ledger.requests("r1", **where)
    return request


def test_a_run_reads_back_as_it_was_written(ledger):
    assert run_record() == ledger.run("r1")


def test_an_unknown_run_is_none(ledger):
    assert ledger.run("nobody") is None


def test_a_claim_is_charged_at_its_worst_case_until_it_settles(ledger):
    ledger.apply([claim()])
    assert Decimal("0.001000000") == ledger.spend("r1").total_usd
    ledger.apply([Settlement("q1", 400_000, "{}", NOW)])

    spend = ledger.spend("r1")

    assert (Decimal("0.000400000"), Decimal(0)) == (spend.settled_usd, spend.reserved_usd)


def test_a_settled_request_is_never_claimed_again(ledger):
    ledger.apply([claim(), Settlement("q1", 400_000, "answer", NOW), claim()])

    request = only(ledger)

    assert ("settled", 1, "answer") == (request.state, request.sends, request.payload)


def test_a_refused_request_costs_nothing_and_may_be_claimed_again(ledger):
    ledger.apply([claim(), Refusal("q1", "{}", NOW)])
    assert Decimal(0) == ledger.spend("r1").total_usd
    ledger.apply([claim()])

    request = only(ledger)

    assert ("claimed", 2, 0) == (request.state, request.sends, request.doubts)


def test_a_doubt_keeps_its_reservation_beside_the_second_charge(ledger):
    ledger.apply(
        [
            claim(),
            Doubt("q1", "connection reset", "{}", NOW),
            claim(),
            Settlement("q1", 300_000, "{}", NOW),
        ]
    )

    request = only(ledger, in_doubt=True)

    assert (Decimal("0.001"), Decimal("0.0003")) == (request.doubt_usd, request.cost_usd)
    assert Decimal("0.0013") == ledger.spend("r1").total_usd


def test_claims_of_a_dead_owner_become_doubts(ledger):
    ledger.apply([claim("q1"), claim("q2"), Settlement("q2", 1, "{}", NOW)])

    doubted = ledger.doubt_orphans("r1")

    assert 1 == doubted
    assert ["q1"] == [request.request_id for request in ledger.requests("r1", in_doubt=True)]


def test_a_failure_is_final(ledger):
    ledger.apply([claim(), Failure("q1", "{}", NOW), claim()])

    assert "failed" == only(ledger).state


def test_unknown_prices_are_counted_not_summed(ledger):
    ledger.apply([claim(reserved=0), Settlement("q1", None, "{}", NOW)])

    spend = ledger.spend("r1")

    assert (Decimal(0), 1) == (spend.total_usd, spend.unpriced)


def test_committing_a_chunk_drops_its_payloads_and_keeps_its_money(ledger):
    ledger.apply([claim(), Settlement("q1", 5, "answer", NOW)])

    ledger.commit_chunk("r1", "000000", records=[], counts=ChunkCounts(answered=1), complete=True)

    assert None is only(ledger).payload
    assert Decimal("0.000000005") == ledger.spend("r1").settled_usd
    assert ("committed", 1, ChunkCounts(answered=1)) == ledger.chunk_states("r1")["000000"]


def test_a_partial_chunk_keeps_payloads_of_unfinished_queries(ledger):
    ledger.apply([claim(), Settlement("q1", 5, "answer", NOW)])

    ledger.commit_chunk(
        "r1",
        "000000",
        records=[],
        counts=ChunkCounts(skipped=1),
        complete=False,
        finished=["other"],
    )

    assert "answer" == only(ledger).payload


def test_reopened_queries_count_their_rounds(ledger):
    ledger.reopen("r1", {"query-1": "000000"})
    ledger.finish_rounds("r1", "000000", ["query-1"])
    ledger.reopen("r1", {"query-1": "000000"})

    assert {"query-1": (2, False)} == ledger.rounds("r1", "000000")
    assert "partial" == ledger.chunk_states("r1")["000000"][0]


def test_a_run_with_requests_cannot_be_forgotten(ledger):
    ledger.apply([claim()])

    with pytest.raises(WarehouseError, match="1 requests"):
        ledger.delete_run("r1")


def test_reading_where_nothing_was_run_says_so(tmp_path):
    with pytest.raises(WarehouseError, match="nothing has been run here yet"):
        open_ledger(tmp_path / "empty", read_only=True)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path):
    ledger = open_ledger(tmp_path)
    with ledger._engine.begin() as connection:
        connection.execute(meta.update().values(value="99"))
    ledger.close()

    with pytest.raises(LedgerVersionError, match="version 99"):
        open_ledger(tmp_path)


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"this is not a database" * 500)

    with pytest.raises(WarehouseError, match="damaged"):
        open_ledger(tmp_path)


def test_two_processes_never_share_a_run(tmp_path):
    with (
        run_lock(tmp_path, "r1"),
        pytest.raises(LedgerBusyError, match="is being worked on"),
        run_lock(tmp_path, "r1"),
    ):
        pass


def test_a_lock_dies_with_its_holder(tmp_path):
    with run_lock(tmp_path, "r1"):
        assert is_live(tmp_path, "r1")

    assert not is_live(tmp_path, "r1")


async def test_waiting_entries_share_one_transaction(ledger):
    batches = []
    apply = ledger.apply

    def counting(entries):
        batches.append(len(entries))
        apply(entries)

    ledger.apply = counting
    writer = LedgerWriter(ledger)
    await asyncio.gather(*(writer.write(claim(f"q{number}")) for number in range(100)))
    await writer.close()

    assert 100 == sum(batches) == len(ledger.requests("r1"))
    assert len(batches) < 100


async def test_a_failed_batch_fails_everyone_who_waited_for_it(ledger):
    def broken(entries):
        raise WarehouseError("disk full")

    ledger.apply = broken
    writer = LedgerWriter(ledger)
    results = await asyncio.gather(
        writer.write(claim("q1")), writer.write(claim("q2")), return_exceptions=True
    )
    await writer.close()

    assert ["disk full", "disk full"] == [str(result) for result in results]


def test_claims_that_never_left_are_free_again(ledger):
    ledger.apply([claim("q1"), claim("q2")])

    doubted = ledger.doubt_orphans("r1", sent={"q2"})

    assert 1 == doubted
    assert {"q1": "refused", "q2": "in_doubt"} == {
        request.request_id: request.state for request in ledger.requests("r1")
    }
    assert Decimal("0.001") == ledger.spend("r1").total_usd


def test_the_sent_log_outlives_its_writer(tmp_path):
    path = sent_log_path(tmp_path, "r1")
    log = SentLog(path)
    log.note("q1")
    log.note("q2")

    assert {"q1", "q2"} == sent_requests(path)
    log.close()


def test_a_sent_log_on_a_full_disk_lets_no_request_leave(tmp_path, monkeypatch):
    path = sent_log_path(tmp_path, "r1")
    log = SentLog(path)
    log.note("q1")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, line: write(handle, line[:2]))
        with pytest.raises(OSError, match="No space left"):
            log.note("q2-of-which-two-bytes-fit")
    log.note("q3")

    assert {"q1", "q3"} == sent_requests(path)
    log.close()


@pytest.mark.parametrize("content", [None, "", "another-boot\nq1\n", "\xff\xfe"])
def test_a_sent_log_that_proves_nothing_says_nothing(tmp_path, content):
    path = tmp_path / "r1.sent"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))

    assert None is sent_requests(path)


def test_entries_of_different_requests_may_come_in_any_order(ledger):
    ledger.apply([claim("q1"), claim("q2"), claim("q3"), claim("q4")])

    ledger.apply(
        [
            Settlement("q1", 5, "one", NOW),
            claim("q5"),
            Doubt("q2", "reset", "two", NOW),
            Settlement("q3", 7, "three", NOW),
            Refusal("q4", "four", NOW),
        ]
    )

    assert {
        "q1": "settled", "q2": "in_doubt", "q3": "settled", "q4": "refused", "q5": "claimed",
    } == {request.request_id: request.state for request in ledger.requests("r1")}  # fmt: skip


def test_an_invalidation_reads_back_as_it_was_said(ledger):
    ledger.invalidate("m@@t", before=NOW, reason="the provider changed it", run_id="r1")

    (said,) = ledger.invalidations()

    assert ("m@@t", NOW, "the provider changed it", "r1") == (
        said.pair_id, said.before, said.reason, said.run_id,
    )  # fmt: skip
    assert UTC is said.created_at.tzinfo


def test_the_same_pair_and_moment_are_invalidated_once(ledger):
    ledger.invalidate("m@@t", before=NOW, reason="first")
    ledger.invalidate("m@@t", before=NOW, reason="again")
    ledger.invalidate("m@@u", before=NOW, reason="another pair")

    assert ["first", "another pair"] == [said.reason for said in ledger.invalidations()]


def test_an_invalidation_without_a_time_zone_is_refused(ledger):
    with pytest.raises(WarehouseError, match="without a time zone"):
        ledger.invalidate("m@@t", before=NOW.replace(tzinfo=None), reason="drift")


def test_a_nul_in_what_a_provider_said_is_no_reason_to_stop(ledger):
    ledger.apply([claim(), Doubt("q1", "reset by \0 peer", "{}", NOW)])

    assert "reset by \ufffd peer" == only(ledger).doubt_reason


def test_a_run_is_recorded_once(ledger):
    with pytest.raises(WarehouseError, match="recorded already"):
        ledger.create_run(run_record(), ["000002"])

    assert ["r1"] == [run.run_id for run in ledger.runs()]
    assert {"000000", "000001"} == set(ledger.chunk_states("r1"))


def test_the_variable_names_the_ledger_but_of_roots_that_keep_it_beside(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere.db"
    monkeypatch.setenv("ATLAS_LEDGER_URL", f"sqlite:///{elsewhere}")
    open_ledger(tmp_path / "shared").close()
    keep_ledger_beside(tmp_path / "experiment")

    open_ledger(tmp_path / "experiment").close()

    assert elsewhere.exists()
    assert not (tmp_path / "shared/ledger.db").exists()
    assert (tmp_path / "experiment/ledger.db").exists()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("not an address, hunter2", "is not a database address"),
        ("mysql://u:hunter2@h/d", "kind 'mysql'"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite://", "in memory"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_repeating_it(
    tmp_path, monkeypatch, url, problem
):
    monkeypatch.setenv("ATLAS_LEDGER_URL", url)

    with pytest.raises(WarehouseError, match=problem) as caught:
        open_ledger(tmp_path)

    assert "hunter2" not in str(caught.value)


def filled(root):
    """A ledger with a row of every kind."""
    ledger = open_ledger(root)
    ledger.create_run(run_record(), ["000000", "000001"])
    ledger.apply([claim("q1"), Doubt("q1", "reset by \0 peer", "{}", NOW), claim("q2")])
    ledger.apply([claim("q3"), Settlement("q3", None, '{"answer": "été"}', NOW)])
    ledger.reopen("r1", {"query-1": "000000"})
    ledger.commit_chunk(
        "r1", "000001", records=[commit_record()], counts=ChunkCounts(2, 1), complete=True
    )
    ledger.invalidate("m@@t", before=NOW, reason="the provider changed it")
    return ledger


def commit_record():
    return CommitRecord(
        "c" * 64, "answers", "r1", "000001", "answers/run_id=r1/chunk-000001.parquet", 3, 100,
        "d" * 64, 4, "e" * 64, "0.1.0", NOW,
    )  # fmt: skip


READS = {
    "run": lambda ledger: ledger.run("r1"),
    "runs": lambda ledger: ledger.runs(),
    "chunk_states": lambda ledger: ledger.chunk_states("r1"),
    "counts": lambda ledger: ledger.counts("r1"),
    "generation": lambda ledger: ledger.generation("r1", "000001"),
    "rounds": lambda ledger: ledger.rounds("r1", "000000"),
    "requests": lambda ledger: ledger.requests("r1"),
    "requests in doubt": lambda ledger: ledger.requests("r1", chunk_id="000000", in_doubt=True),
    "spend": lambda ledger: ledger.spend("r1"),
    "commits": lambda ledger: ledger.commits("answers", "r1", "000001"),
    "invalidations": lambda ledger: [
        (said.pair_id, said.before, said.reason, said.run_id) for said in ledger.invalidations()
    ],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_who_only_looks_sees_what_the_writer_sees(tmp_path, read):
    with (
        closing(filled(tmp_path)) as writer,
        closing(open_ledger(tmp_path, read_only=True)) as seen,
    ):
        found = read(seen)

        assert read(writer) == found
    assert found


def test_the_counts_of_a_run_are_those_of_its_chunks(tmp_path):
    with closing(filled(tmp_path)) as ledger:
        ledger.commit_chunk("r1", "000000", records=[], counts=ChunkCounts(3, 0, 1), complete=False)

        assert ChunkCounts(5, 1, 1) == ledger.counts("r1")
        assert ChunkCounts() == ledger.counts("another")


def test_every_read_of_the_ledger_is_compared():
    reads = {name for name in vars(LedgerReader) if not name.startswith("_")} - {"close"}

    assert reads <= set(READS)


def test_looking_changes_nothing(tmp_path):
    filled(tmp_path).close()
    looking = open_ledger(tmp_path, read_only=True)

    with closing(looking), pytest.raises(sqlite3.OperationalError, match="readonly"):
        looking._database.rows("DELETE FROM runs")


def test_a_folder_with_signs_of_an_address_in_its_name_is_read(tmp_path):
    root = tmp_path / "50% of a?b#c"
    filled(root).close()

    with closing(open_ledger(root, read_only=True)) as looking:
        assert "r1" == looking.runs()[0].run_id


def test_who_only_looks_needs_no_sqlalchemy(tmp_path):
    filled(tmp_path).close()
    program = """
import sys
from pathlib import Path
from warehouse.ledger import open_ledger
ledger = open_ledger(Path(sys.argv[1]), read_only=True)
print(len(ledger.requests("r1")), "sqlalchemy" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "3 False\n" == result.stdout
