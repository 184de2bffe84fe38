"""Blocks of features: finite for any text, on one scale, and silent about what is constant."""

import numpy as np
import pytest

from profiles.errors import ProfileError
from profiles.predictor.count_block import COUNTS, count_features
from profiles.predictor.features import FeatureMap, fit_features
from profiles.predictor.text_block import fit_text_block

from .made_questions import SMALL, Questions

ODD = [
    "",
    " ",
    "\n\n",
    "你好，世界？",
    "Привет, мир",
    "🙂🙃",
    "\ud800",
    "a" * 20_000,
    "\x00\x07",
    "١٢٣",
]


def named(text):
    return dict(zip(COUNTS, count_features([text])[0], strict=True))


def test_counts_of_odd_texts_are_finite():
    counts = count_features(ODD)

    assert (len(ODD), len(COUNTS)) == counts.shape
    assert np.isfinite(counts).all()


def test_counts_see_options_digits_code_and_scripts():
    choice = named("Which one?\nA. red\nB. blue\nC. green\nD. none")
    program = named("def add(a, b):\n    return a + b\n")
    chinese = named("下列哪一项是正确的？")

    assert pytest.approx(np.log1p(4)) == choice["options"]
    assert program["code"] > choice["code"]
    assert chinese["share_ideographs"] > 0.8 > 0 == choice["share_ideographs"]
    assert pytest.approx(np.log1p(6)) == named("call 555 and 123")["digits"]
    assert 1.0 == named("Ж" * 4)["share_other_scripts"]


def test_no_text_gives_no_rows():
    assert (0, len(COUNTS)) == count_features([]).shape


def test_text_block_keeps_the_most_widespread_grams_of_those_that_are_not_rare():
    texts = ["common words here", "common words there", "common rarity", "unique"]

    block = fit_text_block("words", texts, max_features=2, min_df=2, components=8, seed=0)

    # common (3 texts), then words or "common words" (2 texts each)
    assert 2 == len(block.slots)
    assert (2, 1) == block.components.shape
    assert np.isfinite(block.transform(texts)).all()


def test_a_text_without_known_grams_is_the_origin():
    questions = Questions(60)
    block = fit_text_block(
        "characters", questions.texts, max_features=99, min_df=3, components=5, seed=0
    )

    assert 0 == np.abs(block.transform(["", "Ω", " \n"])).max()


@pytest.mark.parametrize("texts", [["", "", ""], ["one", "two", "three"]], ids=["empty", "unlike"])
def test_texts_that_share_nothing_make_an_empty_block(texts):
    block = fit_text_block("words", texts, max_features=9, min_df=2, components=4, seed=0)

    assert (3, 0) == block.transform(texts).shape


def test_blocks_have_the_scale_they_should():
    questions = Questions(200)

    features, matrix = fit_features(questions.texts, questions.embeddings, SMALL)

    width = questions.embeddings.shape[1]
    counts = features.counts(matrix)
    embedding, texts = matrix[:, :width], matrix[:, width : matrix.shape[1] - counts.shape[1]]
    assert np.abs(matrix.mean(axis=0)).max() < 1e-6
    assert pytest.approx(1.0, abs=1e-5) == (embedding**2).sum(axis=1).mean()
    assert pytest.approx(2 * 0.7**2, abs=1e-5) == (texts**2).sum(axis=1).mean()
    assert pytest.approx(0.7**2, abs=1e-5) == (counts**2).sum(axis=1).mean()


def test_constant_counts_are_dropped():
    questions = Questions(200)

    features, matrix = fit_features(questions.texts, questions.embeddings, SMALL)

    varied = np.std(count_features(questions.texts), axis=0) > 1e-9
    assert 0 < varied.sum() < len(COUNTS)
    assert varied.sum() == features.counts(matrix).shape[1]


def test_a_wild_count_is_clipped():
    questions = Questions(200)
    features, _ = fit_features(questions.texts, questions.embeddings, SMALL)

    wild = features.transform(["9" * 9_000], questions.embeddings[:1])

    largest = np.abs(features.counts(wild)).max()
    scale = features.scalings[3].scale
    assert largest <= (4.0 + np.abs(features.scalings[3].centre).max()) * scale + 1e-9


def test_features_read_back_are_the_same():
    questions = Questions(80)
    features, matrix = fit_features(questions.texts, questions.embeddings, SMALL)

    again = FeatureMap.from_parts(*features.to_parts())

    assert np.array_equal(matrix, again.transform(questions.texts, questions.embeddings))


def test_only_the_first_characters_are_read():
    questions = Questions(80)
    features, _ = fit_features(questions.texts, questions.embeddings, SMALL)
    long = "word " * (features.max_characters // 5)

    short, more = (
        features.transform([text], questions.embeddings[:1]) for text in (long, long + "poem 7")
    )

    assert np.array_equal(short, more)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e[:-1], "as many rows of embeddings"),
        (lambda e: e[:, :-1], "5 dimensions, the predictor's 6"),
        (lambda e: np.where(np.arange(len(e))[:, None] == 3, np.nan, e), r"rows 3, counted from 0"),
    ],
    ids=["too-few", "too-narrow", "nan"],
)
def test_embeddings_that_do_not_fit_are_refused(change, words):
    questions = Questions(60)
    features, _ = fit_features(questions.texts, questions.embeddings, SMALL)

    with pytest.raises(ProfileError, match=words):
        features.transform(questions.texts, change(questions.embeddings))
