"""The predictor finds what suits a question, and bears anything it may be given."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from profiles.errors import ProfileError
from profiles.predictor import Predictor, PredictorSettings, fit_predictor

from .made_questions import POEMS, SMALL, SUMS, Questions, matrices


@pytest.fixture(scope="module")
def questions():
    return Questions()


@pytest.fixture(scope="module")
def predictor(questions):
    return questions.fit()


def test_each_kind_of_question_gets_its_pair(predictor):
    texts = [SUMS.format(a=150, b=22, c=4), POEMS.format(a=170)]
    embeddings = np.full((2, 6), 1 / np.sqrt(6), np.float32)

    found = predictor.predict(texts, embeddings)

    assert [0, 1] == found.scores.argmax(axis=1).tolist()
    assert [0, 1] == found.probability.argmax(axis=1).tolist()
    assert ((found.probability > 0) & (found.probability < 1)).all()
    assert found.familiar.all()


def test_estimates_of_training_rows_are_out_of_fold(questions):
    noise = np.random.default_rng(1).random(questions.scores.shape).round()

    predictor = questions.fit(noise)

    correlation = np.corrcoef(predictor.oof_scores[:, 0], noise[:, 0])[0, 1]
    assert correlation < 0.15, "nothing can be learnt of coin flips"


def test_the_same_data_make_the_same_predictor(questions, predictor):
    again = questions.fit()

    for name, array in predictor.to_parts()[1].items():
        assert np.array_equal(array, again.to_parts()[1][name]), name


def test_another_seed_makes_other_folds(questions, predictor):
    other = questions.fit(settings=replace(SMALL, seed=1))

    assert not np.array_equal(predictor.oof_scores, other.oof_scores)


def test_a_question_gets_the_same_estimates_in_any_batch(questions, predictor):
    together = predictor.predict(questions.texts, questions.embeddings)

    for row in range(0, 300, 60):
        alone = predictor.predict([questions.texts[row]], questions.embeddings[row : row + 1])
        assert np.abs(alone.scores - together.scores[row]).max() < 1e-9
        assert np.abs(alone.leverage - together.leverage[row]).max() < 1e-9
        assert alone.familiar[0] == together.familiar[row]


def test_stored_as_words_and_arrays_it_reads_back_the_same(questions, predictor):
    words, arrays = predictor.to_parts()
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)

    with np.load(file, allow_pickle=False) as stored:
        again = Predictor.from_parts(json.loads(json.dumps(words)), dict(stored))

    before = predictor.predict(questions.texts, questions.embeddings)
    after = again.predict(questions.texts, questions.embeddings)
    for name, array in zip(before._fields, before, strict=True):
        assert np.array_equal(array, getattr(after, name)), name
    assert predictor.settings == again.settings
    assert np.array_equal(predictor.oof_scores, again.oof_scores)


def test_it_keeps_no_word_of_the_questions(predictor):
    words, arrays = predictor.to_parts()

    assert "poem" not in json.dumps(words)
    assert not any(array.dtype.kind in "OSU" for array in arrays.values())


def test_an_empty_batch_has_no_estimates(predictor):
    found = predictor.predict([], np.empty((0, 6), np.float32))

    assert (0, 3) == found.scores.shape
    assert (0,) == found.familiar.shape


@pytest.mark.parametrize("text", ["", "   ", "你好，世界", "Привет, мир", "\ud800", "9" * 50_000])
def test_odd_texts_get_finite_estimates_and_are_unfamiliar(predictor, text):
    found = predictor.predict([text], np.full((1, 6), 0.4, np.float32))

    assert np.isfinite(found.scores).all()
    assert np.isfinite(found.leverage).all()
    assert not found.familiar[0]


def test_most_questions_of_known_datasets_are_familiar(questions, predictor):
    fresh = Questions(200, seed=9)

    familiar = predictor.predict(fresh.texts, fresh.embeddings).familiar.mean()

    assert familiar > 0.85
    assert predictor.oof_familiar.mean() > 0.85


def test_questions_of_another_kind_are_unfamiliar(predictor):
    code = [
        f"def add_{n}(a, b):\n    return a[{n}] + b\n\nprint(add_{n}([], {n}))" for n in range(9)
    ]

    assert not predictor.predict(code, np.full((9, 6), 0.4, np.float32)).familiar.any()


def test_too_few_scored_questions_make_no_predictor(questions):
    few = questions.scores.copy()
    few[SMALL.min_rows - 1 :] = np.nan

    assert questions.fit(few) is None
    assert questions.fit(np.full_like(few, np.nan)) is None


def test_questions_that_are_all_the_same_text_make_no_predictor():
    scores = np.ones((80, 2))
    embeddings = np.full((80, 4), 0.5, np.float32)

    found = fit_predictor(
        texts=["same"] * 80, embeddings=embeddings, outcomes=matrices(scores), datasets=["d"] * 80
    )

    assert found is None, "one text cannot be held out of itself"


@pytest.mark.parametrize("score", [0.0, 1.0], ids=["all-wrong", "all-right"])
def test_one_class_only_is_estimated_as_what_it_is(questions, score):
    predictor = questions.fit(np.full((300, 2), score))

    found = predictor.predict(questions.texts[:50], questions.embeddings[:50])

    assert np.abs(found.scores - score).max() < 1e-6
    assert np.abs(found.probability - score).max() < 0.2


def test_one_pair_is_enough():
    questions = Questions(120, pairs=1)

    predictor = questions.fit()

    assert (120, 1) == predictor.oof_scores.shape
    assert np.isfinite(predictor.predict(questions.texts, questions.embeddings).scores).all()


def test_a_pair_that_was_never_scored_stays_unknown_and_changes_no_other(questions, predictor):
    wider = np.column_stack([questions.scores, np.full(300, np.nan)])

    found = questions.fit(wider).predict(questions.texts, questions.embeddings)

    before = predictor.predict(questions.texts, questions.embeddings)
    assert np.isnan(found.scores[:, 3]).all()
    assert np.isnan(found.probability[:, 3]).all()
    assert np.allclose(before.scores, found.scores[:, :3])


def test_a_quarter_of_the_cells_finds_the_same_pairs(questions):
    few = np.where(np.random.default_rng(3).random((300, 3)) < 0.25, questions.scores, np.nan)

    scores = questions.fit(few).predict(questions.texts, questions.embeddings).scores

    assert (scores[:, :2].argmax(axis=1) == questions.kind).mean() > 0.9


def test_cells_that_were_not_run_do_not_count_as_wrong(questions):
    # The poems' pair is run on a few of the poems only; it is right there as often as before.
    rare = questions.scores.copy()
    poems = np.flatnonzero(questions.kind == 1)
    rare[poems[::2], 1] = np.nan

    scores = questions.fit(rare).predict(questions.texts, questions.embeddings).scores

    assert (scores[poems].argmax(axis=1) == 1).mean() > 0.95


def test_questions_without_a_dataset_are_one_kind(questions):
    predictor = fit_predictor(
        texts=questions.texts,
        embeddings=questions.embeddings,
        outcomes=matrices(questions.scores),
        datasets=[None] * 300,
        settings=SMALL,
    )

    found = predictor.predict(questions.texts, questions.embeddings)

    assert {0} == set(predictor.groups.tolist())
    assert (found.scores[:, :2].argmax(axis=1) == questions.kind).mean() > 0.95


def test_small_datasets_are_put_together(questions):
    names = ["large"] * 200 + [f"small {row // 10}" for row in range(100)]

    predictor = fit_predictor(
        texts=questions.texts,
        embeddings=questions.embeddings,
        outcomes=matrices(questions.scores),
        datasets=names,
        settings=SMALL,
    )

    assert [200, 100] == np.bincount(predictor.groups).tolist()


def test_embeddings_of_another_encoder_are_refused(predictor):
    with pytest.raises(ProfileError, match="embed with the encoder"):
        predictor.predict(["a"], np.ones((1, 7), np.float32))


def test_embeddings_that_are_no_numbers_are_refused(questions):
    broken = questions.embeddings.copy()
    broken[2, 1] = np.nan

    with pytest.raises(ProfileError, match="1 embeddings are not finite"):
        fit_predictor(
            texts=questions.texts,
            embeddings=broken,
            outcomes=matrices(questions.scores),
            datasets=questions.datasets,
        )


def test_rows_that_disagree_in_number_are_refused(questions):
    with pytest.raises(ProfileError, match="299 texts, 300 rows of outcomes"):
        fit_predictor(
            texts=questions.texts[1:],
            embeddings=questions.embeddings[1:],
            outcomes=matrices(questions.scores),
            datasets=questions.datasets[1:],
        )


@pytest.mark.parametrize(
    ("field", "value"), [("ridge", 0.0), ("folds", 1), ("margin", -0.1), ("word_features", -1)]
)
def test_settings_that_cannot_be_fitted_are_refused(field, value):
    with pytest.raises(ProfileError, match=field):
        PredictorSettings(**{field: value})
