from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from warehouse.embedding_cache import EmbeddingCache

ROOT = Path(__file__).parents[2]


def vectors(count: int, dimension: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def names(count: int) -> list[str]:
    return [f"{number:032x}" for number in range(count)]


def same(found: dict[str, np.ndarray], hashes: list[str], matrix: np.ndarray) -> bool:
    return found.keys() == set(hashes) and all(
        np.array_equal(found[key], row) for key, row in zip(hashes, matrix, strict=True)
    )


def test_vectors_come_back_and_absent_ones_are_left_out(tmp_path: Path) -> None:
    matrix = vectors(3)
    with EmbeddingCache(tmp_path / "cache.db", "minilm", 4) as cache:
        cache.put_many(names(3), matrix)

        assert same(cache.get_many([*names(3), "absent"]), names(3), matrix)
        assert cache.get_many([]) == {}


def test_vectors_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "new" / "cache.db", "minilm", 4) as cache:
        cache.put_many(names(2), vectors(2))
    with EmbeddingCache(tmp_path / "new" / "cache.db", "minilm", 4) as cache:
        assert same(cache.get_many(names(2)), names(2), vectors(2))


def test_encoders_never_see_each_others_vectors(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with (
        EmbeddingCache(path, "minilm", 4) as mini,
        EmbeddingCache(path, "minilm-bf16", 4) as half,
        EmbeddingCache(path, "minilm", 8) as wide,
    ):
        mini.put_many(names(2), vectors(2))
        half.put_many(names(1), vectors(1, seed=1))

        assert same(mini.get_many(names(2)), names(2), vectors(2))
        assert same(half.get_many(names(2)), names(1), vectors(1, seed=1))
        assert wide.get_many(names(2)) == {}


def test_more_hashes_than_one_statement_takes(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "cache.db", "minilm", 2) as cache:
        cache.put_many(names(1201), vectors(1201, 2))

        assert same(cache.get_many(names(1201)), names(1201), vectors(1201, 2))


def test_a_later_vector_takes_the_place_of_an_earlier(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "cache.db", "minilm", 4) as cache:
        cache.put_many(names(1), vectors(1, seed=1))
        cache.put_many(names(1), vectors(1, seed=2))

        assert same(cache.get_many(names(1)), names(1), vectors(1, seed=2))


@pytest.mark.parametrize("shape", [(2, 3), (1, 4), (8,)])
def test_a_matrix_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with (
        EmbeddingCache(tmp_path / "cache.db", "minilm", 4) as cache,
        pytest.raises(ValueError, match=r"expected \(2, 4\)"),
    ):
        cache.put_many(names(2), np.zeros(shape, dtype=np.float32))


@settings(max_examples=25, deadline=None)
@given(
    matrix=npst.arrays(
        np.float32, st.tuples(st.integers(0, 5), st.just(3)), elements=st.floats(width=32)
    )
)
def test_every_bit_of_every_float_is_kept(
    tmp_path_factory: pytest.TempPathFactory, matrix: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("bits") / "cache.db"
    with EmbeddingCache(path, "minilm", 3) as cache:
        cache.put_many(names(len(matrix)), matrix)
        found = cache.get_many(names(len(matrix)))

    assert [row.tobytes() for row in matrix] == [found[key].tobytes() for key in names(len(matrix))]


def spoil_header(path: Path) -> None:
    path.write_bytes(b"not a database " * 100)


def spoil_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200:] = os.urandom(len(content) - 200)
    path.write_bytes(content)


def spoil_schema(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE vectors (other INTEGER)")
    connection.close()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, spoil_schema, cut])
def test_a_damaged_file_is_set_aside_with_a_warning_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: object
) -> None:
    path = tmp_path / "cache.db"
    with EmbeddingCache(path, "minilm", 384) as cache:
        cache.put_many(names(200), vectors(200, 384))
    spoil(path)  # type: ignore[operator]

    with caplog.at_level(logging.WARNING), EmbeddingCache(path, "minilm", 384) as cache:
        known = cache.get_many(names(200))
        cache.put_many(names(200), vectors(200, 384))
        again = cache.get_many(names(200))

    assert known == {}
    assert same(again, names(200), vectors(200, 384))
    assert "was damaged; it is set aside" in caplog.text
    assert (tmp_path / "cache.db.damaged").exists()


def test_a_flipped_bit_in_a_vector_makes_it_absent_until_it_is_put_again(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    matrix = vectors(2, 384)
    with EmbeddingCache(path, "minilm", 384) as cache:
        cache.put_many(names(2), matrix)
    content = path.read_bytes()
    place = content.index(matrix[0].tobytes())
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])

    with EmbeddingCache(path, "minilm", 384) as cache:
        assert same(cache.get_many(names(2)), names(2)[1:], matrix[1:])

        cache.put_many(names(1), matrix[:1])
        assert same(cache.get_many(names(2)), names(2), matrix)


def test_a_file_set_aside_by_another_process_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with EmbeddingCache(path, "minilm", 4) as cache:
        cache.put_many(names(1), vectors(1))
        for file in tmp_path.glob("cache.db*"):
            file.rename(tmp_path / f"moved{file.name}")

        cache.put_many(names(2), vectors(2))

        assert same(cache.get_many(names(2)), names(2), vectors(2))


def test_a_folder_that_cannot_be_made_turns_the_cache_off_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")

    with (
        caplog.at_level(logging.WARNING),
        EmbeddingCache(tmp_path / "file" / "cache.db", "minilm", 4) as cache,
    ):
        cache.put_many(names(1), vectors(1))

        assert cache.get_many(names(1)) == {}
    assert len(caplog.records) == 1
    assert "texts are embedded anew" in caplog.text


def test_a_lock_held_for_too_long_costs_one_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cache.db"
    with EmbeddingCache(path, "minilm", 4, busy_timeout_s=0.01) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.WARNING):
            cache.put_many(names(1), vectors(1))
        other.execute("ROLLBACK")
        other.close()
        assert "is locked" in caplog.text

        cache.put_many(names(2), vectors(2))
        assert same(cache.get_many(names(2)), names(2), vectors(2))


def test_a_closed_cache_knows_nothing(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache.db", "minilm", 4)
    cache.put_many(names(1), vectors(1))
    cache.close()
    cache.close()

    assert cache.get_many(names(1)) == {}


def test_threads_share_one_cache(tmp_path: Path) -> None:
    matrix = vectors(80)
    with EmbeddingCache(tmp_path / "cache.db", "minilm", 4) as cache:
        threads = [
            threading.Thread(
                target=cache.put_many,
                args=(names(80)[start : start + 20], matrix[start : start + 20]),
            )
            for start in range(0, 80, 20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert same(cache.get_many(names(80)), names(80), matrix)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from warehouse.embedding_cache import EmbeddingCache
offset = int(sys.argv[2])
with EmbeddingCache(Path(sys.argv[1]), "minilm", 4) as cache:
    for number in range(offset, offset + 60):
        row = np.full((1, 4), number, dtype=np.float32)
        cache.put_many([f"{number:032x}"], row)
        assert cache.get_many([f"{number:032x}"]), number
"""


def test_two_processes_write_at_the_same_time_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(offset)], cwd=ROOT)
        for offset in (0, 60)
    ]

    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    expected = np.repeat(np.arange(120, dtype=np.float32)[:, None], 4, axis=1)
    with EmbeddingCache(path, "minilm", 4) as cache:
        assert same(cache.get_many(names(120)), names(120), expected)


def test_a_chunk_is_read_in_milliseconds(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "cache.db", "minilm", 384) as cache:
        cache.put_many(names(500), vectors(500, 384))
        cache.get_many(names(500))

        began = time.process_time()
        cache.get_many(names(500))

        # Measured at 3 ms; the room is for a machine that does other things too.
        assert time.process_time() - began < 0.05
