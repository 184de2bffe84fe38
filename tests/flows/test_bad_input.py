"""Bad input on the real command line: a sentence, an exit code, no traceback, nothing lost.

Every case runs beside a finished run named `done`, which must still be whole afterwards.
"""

from __future__ import annotations

import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import urllib.request

import polars as pl
import pytest

from warehouse.run_lock import run_lock

FIXED = ("--router", "fixed:small@@none")
ROW = '{"custom_id": "a", "prompt": "one"}\n'
OTHER = '{"custom_id": "z", "prompt": "other"}\n'


@pytest.fixture
def refused(atlas, finished):
    """Runs a command line that must fail and checks what every failure owes the user."""

    def check(code, said, *words, run=atlas):
        result = run(*words)
        assert code == result.code, result.err
        assert "Traceback" not in result.err + result.out
        for part in said:
            assert part in result.err
        assert "next: atlas" in result.err or "Try 'atlas" in result.err
        assert 4 == atlas("runs", "show", finished, "--json").json()["rows"]["answered"]
        exported = atlas("runs", "export", finished, "--out", "still-there.jsonl")
        assert 0 == exported.code, exported.err
        assert 4 == len(atlas.lines("still-there.jsonl"))
        return result

    return check


# ------------------------------------------------------------------- sources nobody can read

SOURCES = {
    "missing file": ("none.jsonl", None, ["none.jsonl", "does not exist"]),
    "empty file": ("b.jsonl", "", ["b.jsonl", "empty"]),
    "only blank lines": ("b.jsonl", "\n \n\n", ["b.jsonl", "empty"]),
    "binary file": ("b.jsonl", bytes(range(256)) * 40, ["b.jsonl", "binary"]),
    "utf-16 file": ("b.jsonl", ROW.encode("utf-16"), ["b.jsonl", "UTF-16"]),
    "unknown extension": ("b.docx", "x", ["b.docx", ".jsonl"]),
    "torn gzip": ("b.jsonl.gz", gzip.compress(ROW.encode() * 999)[:30], ["b.jsonl.gz", "cut off"]),
    "torn parquet": ("b.parquet", b"PAR1" + bytes(64), ["b.parquet", "Parquet"]),
    "csv without a prompt": ("b.csv", "x,y\n1,2\n", ["b.csv", "prompt", "'x'"]),
    "folder without files": ("folder/readme.md", "x", ["folder", ".jsonl"]),
}


@pytest.mark.parametrize(("name", "content", "said"), SOURCES.values(), ids=SOURCES)
def test_a_source_that_cannot_be_read(atlas, refused, name, content, said):
    if content is not None:
        atlas.write(name, content)
    source = name.partition("/")[0]

    refused(1, said, "route", source, *FIXED)


# --------------------------------------------------------------------------- rows of a source

LONG = json.dumps({"custom_id": "b", "prompt": "x" * 10_000_001}) + "\n"
ROWS = {
    "bad utf-8": (b'{"custom_id": "b", "prompt": "\xff\xfe"}\n', "UTF-8"),
    "invalid json in the middle": ('{"custom_id": "b", "prom\n', "JSON"),
    "duplicate custom_id": ('{"custom_id": "a", "prompt": "two"}\n', "custom_id"),
    "empty prompt": ('{"custom_id": "b", "prompt": " "}\n', "prompt"),
    "no prompt": ('{"custom_id": "b"}\n', "prompt"),
    "prompt of 10 MB": (LONG, "prompt"),
    "prompt of the wrong type": ('{"custom_id": "b", "prompt": 7}\n', "prompt"),
    "custom_id of the wrong type": ('{"custom_id": [1], "prompt": "x"}\n', "custom_id"),
    "row that is no object": ("[1, 2]\n", "object"),
    "NUL character": ('{"custom_id": "b", "prompt": "a\\u0000b"}\n', "prompt"),
    "NaN": ('{"custom_id": "b", "prompt": NaN}\n', "NaN"),
}


@pytest.mark.parametrize(("row", "said"), ROWS.values(), ids=ROWS)
def test_a_row_that_cannot_be_asked_is_a_dead_letter_and_the_others_are_answered(
    atlas, finished, row, said
):
    raw = row if isinstance(row, bytes) else row.encode()
    atlas.write("b.jsonl", ROW.encode() + raw + OTHER.encode())

    result = atlas("route", "b.jsonl", *FIXED, "--json")

    assert 4 == result.code
    assert "Traceback" not in result.err
    report = result.json()
    assert 2 == report["answered"]
    (letter,) = map(json.loads, atlas.lines(report["dead_letter_path"]))
    assert ("b.jsonl", 2) == (letter["file"], letter["row"])
    assert said in f"{letter['field']} {letter['reason']}"
    assert "b.jsonl, row 2" in result.err
    assert report["dead_letter_path"] in result.err
    assert 4 == atlas("runs", "show", finished, "--json").json()["rows"]["answered"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf" + ROW.encode(), ""),
        (ROW.replace("}", ', "colour": 3}'), "'colour'"),
        ('{"prompt": "one"}\n', ""),
        (ROW.rstrip("\n"), ""),
    ],
    ids=["byte order mark", "unknown column", "missing custom_id", "no newline at the end"],
)
def test_what_is_only_odd_is_answered_and_said(atlas, finished, content, said):
    atlas.write("b.jsonl", content)

    result = atlas("route", "b.jsonl", *FIXED, "--json")

    assert (0, 1) == (result.code, result.json()["answered"])
    assert said in result.err


# ---------------------------------------------------------------------------------- pool files

POOLS = {
    "missing pool": (None, ["other.yaml", "does not exist", "atlas init"]),
    "empty pool": ("", ["other.yaml", "empty"]),
    "binary pool": (bytes(range(256)), ["other.yaml", "binary"]),
    "pool that is no yaml": ("models: [", ["other.yaml:"]),
    "unknown key": ("    prise: 3\n    name: small\n", ["other.yaml:5", "prise", "did you mean"]),
    "unknown tool kind": ("kind: hammer", ["other.yaml:11", "kind", "'hammer'"]),
    "unknown tool in a pair": ("pairs: {include: ['small@@saw']}\n", ["pairs", "'small@@saw'"]),
    "duplicate name": ("tools:\n  none: {kind: none}\n", ["tools", "given twice"]),
    "cyclic anchors": ("name: x\nmodels: &m\n  a: *m\n", ["other.yaml", "contains itself"]),
    "negative price": ("input_usd: -1", ["other.yaml:6", "input_usd", "negative"]),
    "NaN price": ("input_usd: .nan", ["other.yaml:6", "input_usd"]),
    "missing price": ("", ["small@@none", "no known price", "--allow-unpriced"]),
    "missing key variable": ("api_key_env: NO_SUCH_KEY", ["NO_SUCH_KEY", "is not set"]),
}


def _pool(case, part, text):
    if case in ("missing pool", "empty pool", "binary pool", "pool that is no yaml"):
        return part
    if case == "cyclic anchors":
        return part
    if case == "unknown key":
        return text.replace("    name: small\n", part, 1)
    if case == "unknown tool kind":
        return text.replace("kind: none", part)
    if case in ("unknown tool in a pair", "duplicate name"):
        return text + part
    if case in ("negative price", "NaN price"):
        return text.replace("input_usd: 1", part)
    if case == "missing price":
        return text.replace("input_usd: 1, ", part)
    http = f"provider: openai\n    endpoint: http://127.0.0.1:9/v1\n    {part}"
    return text.replace("provider: scripted", http).replace(
        'parameters: {answer: "Answer: 42"}', "parameters: {}"
    )


@pytest.mark.parametrize("case", POOLS)
def test_a_pool_that_cannot_be_used_is_refused_before_anything_is_sent(atlas, refused, case):
    part, said = POOLS[case]
    if part is not None:
        atlas.write("other.yaml", _pool(case, part, atlas.pool))
    atlas.write("b.jsonl", ROW)

    refused(1, said, "route", "b.jsonl", "--pool", "other.yaml", *FIXED)

    assert ["done"] == [run["run_id"] for run in atlas("runs", "list", "--json").json()]


# --------------------------------------------------------------------------- knowledge, settings


def test_routing_by_a_profile_that_does_not_exist(atlas, refused):
    atlas.write("b.jsonl", ROW)

    refused(1, ["no profile", "atlas profile run"], "route", "b.jsonl")
    refused(1, ["'profile-x'"], "route", "b.jsonl", "--profile", "profile-x")


def test_profiling_without_a_usable_question(atlas, refused):
    atlas.write("labelled.jsonl", '{"prompt": "x", "reference": "1", "grader": "vibes"}\n')

    refused(1, ["labelled.jsonl, row 1", "grader", "'vibes'"], "profile", "run", "labelled.jsonl")


def test_a_profile_without_a_training_question_has_no_data(atlas, refused):
    row = {"prompt": "x", "reference": "42", "grader": "numeric", "split": "test"}
    atlas.write("labelled.jsonl", json.dumps(row) + "\n")

    refused(1, ["train"], "profile", "run", "labelled.jsonl", "--clusters", 1)


def test_importing_a_table_that_is_not_there_or_lacks_columns(atlas, refused):
    refused(1, ["nowhere", "does not exist"], "profile", "import", "nowhere")
    (atlas.folder / "table").mkdir()
    pl.DataFrame({"query_id": ["a"]}).write_parquet(atlas.folder / "table/queries.parquet")
    pl.DataFrame({"query_id": ["a"]}).write_parquet(atlas.folder / "table/outcomes.parquet")
    refused(1, ["table", "text"], "profile", "import", "table")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-cost", "-1"), ["max_cost", "'-1'", "--max-cost", "0 or more"]),
        (("--max-cost", "nan"), ["max_cost", "finite"]),
        (("--chunk-size", "0"), ["chunk_size", "'0'"]),
        (("--name", "../up"), ["name", "'../up'"]),
        (("--in-doubt", "perhaps"), ["in_doubt", "'resend' or 'hold'"]),
        (("--config", "none.yaml"), ["none.yaml", "cannot be read"]),
        (("--config", "bad.yaml"), ["bad.yaml:2", "alfa", "did you mean"]),
    ],
    ids=["negative", "NaN", "zero", "path", "choice", "missing file", "unknown key"],
)
def test_settings_that_cannot_be_meant(atlas, refused, words, said):
    atlas.write("b.jsonl", ROW)
    atlas.write("bad.yaml", "route:\n  alfa: 1\n")

    refused(2, said, "route", "b.jsonl", *FIXED, *words)


# -------------------------------------------------------------------------- warehouse and disk


def test_a_root_that_is_a_file(atlas, refused):
    atlas.write("b.jsonl", ROW)

    refused(1, ["pool.yaml", "--root"], "runs", "list", "--root", "pool.yaml")
    refused(1, ["pool.yaml", "Not a directory"], "route", "b.jsonl", *FIXED, "--root", "pool.yaml")


def test_a_folder_that_cannot_be_written(atlas, refused):
    atlas.write("b.jsonl", ROW)

    refused(1, ["/proc/atlas"], "route", "b.jsonl", *FIXED, "--root", "/proc/atlas")


def test_a_full_disk_stops_the_run_and_the_same_command_ends_it(atlas, refused, backlog):
    words = ("route", backlog(3000), *FIXED, "--name", "big")

    def on_a_full_disk(*words):
        return atlas.process(*words, file_bytes=600_000)

    refused(1, ["could not be written", "Make room"], *words, run=on_a_full_disk)

    resumed = atlas(*words, "--json")
    assert (0, 3000) == (resumed.code, resumed.json()["answered"])


def test_a_run_that_another_process_works_on(atlas, refused):
    atlas.write("b.jsonl", ROW)

    with run_lock(atlas.folder / "warehouse/data", "mine"):
        refused(1, ["'mine'", "process"], "route", "b.jsonl", *FIXED, "--name", "mine")


def test_a_ledger_of_a_newer_version_is_left_alone(atlas, finished):
    path = atlas.folder / "warehouse/data/ledger.db"
    with sqlite3.connect(path) as ledger:
        ledger.execute("UPDATE meta SET value = '99' WHERE key = 'ledger_version'")
    atlas.write("b.jsonl", ROW)

    result = atlas("route", "b.jsonl", *FIXED)

    assert 1 == result.code
    assert "version 99" in result.err
    assert "nothing was changed" in result.err
    assert "Traceback" not in result.err
    with sqlite3.connect(path) as ledger:
        ledger.execute("UPDATE meta SET value = '1' WHERE key = 'ledger_version'")
    assert 4 == atlas("runs", "show", finished, "--json").json()["rows"]["answered"]


def test_a_ledger_that_is_no_database(atlas):
    atlas.write("warehouse/data/ledger.db", "not a database, " * 100)

    result = atlas("runs", "list")

    assert 1 == result.code
    assert "ledger.db" in result.err
    assert "damaged" in result.err


def test_a_damaged_chunk_file_is_named_and_never_read_as_if_whole(atlas, finished):
    (chunk,) = (atlas.folder / "warehouse/data/answers/run_id=done").glob("*.parquet")
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-20] + bytes(20))

    exported = atlas("runs", "export", finished, "--out", "out.jsonl")
    chunk.unlink()
    missing = atlas("report", finished)
    chunk.write_bytes(whole)

    assert (1, 1) == (exported.code, missing.code)
    assert str(chunk.name) in exported.err
    assert "is missing" in missing.err
    assert "Traceback" not in exported.err + missing.err
    assert not (atlas.folder / "out.jsonl").exists()
    assert 0 == atlas("report", finished).code


def test_exporting_into_a_folder_that_is_not_there(refused):
    refused(1, ["nowhere"], "runs", "export", "done", "--out", "nowhere/out.jsonl")
    refused(2, ["'xml'"], "runs", "export", "done", "--out", "o", "--format", "xml")


# -------------------------------------------------------------------------- providers


SERVED = """\
name: served
models:
  sim:
    {provider}
    name: sim
    prices: {{input_usd: 1, output_usd: 1}}
    limits: {{timeout_s: {timeout_s}}}
tools:
  none: {{kind: none}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of a simulated server whose faults can be set."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "pool.yaml").write_text(SERVED.format(provider="provider: simulated", timeout_s=30))
    words = ("--pool", "pool.yaml", "--port", "0", "--latency-scale", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "simulate", *words],
        cwd=folder,
        env={"PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("html=1", 1, "web page"),
        ("quota_after=1", 1, "quota"),
        ("empty=1", 4, "empty_choices"),
        ("malformed=1", 4, "in_doubt"),
        ("truncate=1", 4, "in_doubt"),
        ("hang=1", 4, "in_doubt"),
        ("reset=1", 4, "in_doubt"),
    ],
)
def test_a_server_that_misbehaves(atlas, refused, served, fault, code, said):
    base = served.removesuffix("/v1")
    urllib.request.urlopen(f"{base}/faults", data=fault.encode(), timeout=10).close()
    provider = f"provider: openai\n    endpoint: {served}"
    # Only who waits for nothing is in a hurry: a slow machine answers late, but it answers.
    timeout_s = 0.5 if fault == "hang=1" else 30
    atlas.write("http.yaml", SERVED.format(provider=provider, timeout_s=timeout_s))
    atlas.write("b.jsonl", ROW + OTHER)
    words = ("route", "b.jsonl", "--pool", "http.yaml", "--router", "fixed:sim@@none")

    result = refused(code, [said], *words, "--concurrency", 1, "--name", "faulty")

    if said == "in_doubt":
        assert "atlas runs show faulty --in-doubt" in result.err
        assert 2 == len(atlas("runs", "show", "faulty", "--in-doubt", "--json").json())


@pytest.mark.slow
def test_a_server_that_refuses_connections(atlas, refused):
    atlas.write(
        "http.yaml",
        SERVED.format(
            provider="provider: openai\n    endpoint: http://127.0.0.1:9/v1", timeout_s=30
        ),
    )
    atlas.write("b.jsonl", ROW)

    refused(
        4,
        ["connection", "127.0.0.1:9"],
        "route", "b.jsonl", "--pool", "http.yaml", "--router", "fixed:sim@@none",
    )  # fmt: skip


def test_bad_input_in_a_process_of_its_own_prints_no_traceback(atlas, finished):
    atlas.write("b.jsonl", "")
    commands = [
        (("route", "b.jsonl", *FIXED), 1),
        (("route", "none.parquet", *FIXED), 1),
        (("route", "done.jsonl", "--pool", "none.yaml"), 1),
        (("route", "done.jsonl", "--alpha", "two"), 2),
        (("runs", "show", "nothing"), 1),
        (("frobnicate",), 2),
    ]

    for words, code in commands:
        result = atlas.process(*words)
        assert code == result.code, words
        assert "Traceback" not in result.err
        assert "" == result.out
