"""The predictor router leaves the best single pair only where that is clearly better."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.errors import RouterError
from profiles.predictor import fit_predictor
from profiles.profile import ProfileSettings
from profiles.routers.base import RoutingContext
from profiles.routers.baselines import BestSingleRouter
from profiles.routers.predictor import PredictorRouter
from tests.profiles.made_profiles import CREATED, long_outcomes, pairs_of

from .made_questions import SMALL, Questions, matrices


def profile_of(questions, scores=None, costs=None):
    scores = questions.scores if scores is None else scores
    ids = [f"q{row}" for row in range(len(scores))]
    profile = build_profile(
        queries=pl.DataFrame(
            {
                "query_id": ids,
                "text": questions.texts,
                "dataset": questions.datasets,
                "split": ["train"] * len(ids),
            }
        ),
        outcomes=long_outcomes(ids, scores, costs),
        embeddings=questions.embeddings,
        pairs=pairs_of(scores.shape[1]),
        pool_fingerprint="pool",
        encoder_fingerprint="made@1/float32",
        created_at=CREATED,
        settings=ProfileSettings(ClusterSettings(2), predictor=False, selection=False),
    )
    predictor = fit_predictor(
        texts=questions.texts,
        embeddings=questions.embeddings,
        outcomes=matrices(scores),
        datasets=questions.datasets,
        settings=SMALL,
    )
    return replace(profile, predictor=predictor)


def context(questions, rows=slice(None), **told):
    texts = tuple(questions.texts[rows])
    return RoutingContext(tuple(f"t{n}" for n in range(len(texts))), texts, **told)


@pytest.fixture(scope="module")
def questions():
    return Questions()


@pytest.fixture(scope="module")
def fresh():
    return Questions(120, seed=5)


@pytest.fixture(scope="module")
def profile(questions):
    return profile_of(questions)


@pytest.fixture(scope="module")
def costly(questions):
    return profile_of(questions, costs=np.tile([0.01, 0.01, 0.0001], (300, 1)))


def test_each_kind_of_question_goes_to_its_pair(profile, fresh):
    router = PredictorRouter(profile)

    decisions = router.decide(fresh.embeddings, context(fresh))

    familiar = profile.predictor.predict(fresh.texts, fresh.embeddings).familiar
    assert router.gate(0.0).open
    assert (decisions.pair == fresh.kind)[familiar].mean() > 0.95
    assert familiar.mean() > 0.8


def test_what_is_decided_agrees_with_itself(profile, fresh):
    decisions = PredictorRouter(profile).decide(fresh.embeddings, context(fresh))

    rows = np.arange(120)
    assert np.array_equal(decisions.pair, decisions.ranking[:, 0])
    assert [[0, 1, 2]] == np.unique(np.sort(decisions.ranking, axis=1), axis=0).tolist()
    best = decisions.utility.max(axis=1)
    assert np.allclose(best, decisions.utility[rows, decisions.pair], atol=1e-12)
    falling = np.take_along_axis(decisions.utility, decisions.ranking, axis=1)
    assert (np.diff(falling, axis=1) <= 1e-12).all()
    assert ((decisions.expected_score > 0) & (decisions.expected_score < 1)).all()
    assert set(decisions.cluster.tolist()) <= {0, 1}
    assert np.isfinite(decisions.distance).all()
    assert 120 == len(decisions.reason)


def test_reasons_are_shared_sentences_that_name_the_pair(profile, fresh):
    decisions = PredictorRouter(profile).decide(fresh.embeddings, context(fresh))

    names = [pair.pair_id for pair in profile.pairs]
    assert all(names[p] in r for p, r in zip(decisions.pair, decisions.reason, strict=True))
    assert len(set(map(id, decisions.reason))) == len(set(decisions.reason)) < 60
    assert any("predicted clearly better" in reason for reason in decisions.reason)


def test_a_question_is_decided_the_same_in_any_batch(profile, fresh):
    router = PredictorRouter(profile)
    together = router.decide(fresh.embeddings, context(fresh))

    for row in range(0, 120, 17):
        rows = slice(row, row + 1)
        alone = router.decide(fresh.embeddings[rows], context(fresh, rows))
        assert np.array_equal(together.ranking[row], alone.ranking[0])
        assert together.reason[row] == alone.reason[0]


def test_with_nothing_to_learn_the_gate_is_closed_and_the_reason_says_so(questions, fresh):
    noise = (np.random.default_rng(7).random((300, 3)) < [0.5, 0.45, 0.4]).astype(float)
    profile = profile_of(questions, noise)
    router = PredictorRouter(profile)

    decisions = router.decide(fresh.embeddings, context(fresh))

    single = BestSingleRouter(profile).decide(None, context(fresh))
    assert not router.gate(0.0).open
    assert np.array_equal(single.ranking, decisions.ranking)
    assert all("gate closed: out of fold" in reason for reason in decisions.reason)
    assert set(decisions.pair.tolist()) == set(router.out_of_fold(0.0).tolist())


def test_questions_unlike_all_training_keep_the_best_single_pair(profile):
    texts = ("def f(x):\n    return [x]\n\nprint(f(3))", "", "下列哪一项是正确的？")
    embeddings = np.full((3, 6), 0.4, np.float32)

    decisions = PredictorRouter(profile).decide(embeddings, RoutingContext(("a", "b", "c"), texts))

    assert np.nanargmax(profile.train_macro) == np.unique(decisions.pair)
    assert all("unlike every training dataset" in reason for reason in decisions.reason)


def test_only_allowed_pairs_are_ranked(profile, fresh):
    allowed = np.ones((120, 3), bool)
    allowed[:60, 0] = False
    allowed[60:, :2] = False

    decisions = PredictorRouter(profile).decide(fresh.embeddings, context(fresh, allowed=allowed))

    rows = np.arange(120)
    assert allowed[rows, decisions.pair].all()
    assert (decisions.ranking[:60, 2] == -1).all()
    assert (decisions.ranking[60:, 1:] == -1).all()
    assert (decisions.pair[:60] == 1)[fresh.kind[:60] == 1].mean() > 0.9
    assert all("among the pairs allowed" in reason for reason in decisions.reason)


def test_alpha_one_takes_the_cheapest_pair(costly, fresh):
    decisions = PredictorRouter(costly).decide(fresh.embeddings, context(fresh, alpha=1.0))

    assert [2] == np.unique(decisions.pair).tolist()
    assert np.allclose(0.0001, decisions.expected_cost_usd)


def test_the_gate_is_of_the_alpha(costly):
    router = PredictorRouter(costly)

    gains = [router.gate(alpha).gain for alpha in (0.0, 0.3, 0.9)]

    assert gains[0] > gains[1] > gains[2] == 0.0, "dear pairs are worth less and less"
    assert router.gate(0.3) is router.gate(0.3), "judged once"


def test_alpha_without_any_cost_is_refused(profile, fresh):
    with pytest.raises(RouterError, match="knows no pair's cost"):
        PredictorRouter(profile).decide(fresh.embeddings, context(fresh, alpha=0.5))


def test_a_pair_without_a_price_is_not_chosen_when_money_counts(questions, fresh):
    costs = np.tile([np.nan, 0.01, 0.001], (300, 1))
    router = PredictorRouter(profile_of(questions, costs=costs))

    decisions = router.decide(fresh.embeddings, context(fresh, alpha=0.1))

    assert 0 not in decisions.pair
    assert (decisions.ranking[:, 2] == -1).all()


def test_out_of_fold_choices_are_those_the_gate_judges(profile, questions):
    router = PredictorRouter(profile)

    chosen = router.out_of_fold(0.0)

    base = int(np.nanargmax(profile.train_macro))
    rows = np.arange(300)
    gain = (questions.scores[rows, chosen] - questions.scores[:, base]).mean()
    assert pytest.approx(gain) == router.gate(0.0).gain
    assert (chosen == questions.kind).mean() > 0.8


def test_a_pair_that_was_never_scored_is_not_chosen(questions, fresh):
    wider = np.column_stack([questions.scores, np.full(300, np.nan)])

    decisions = PredictorRouter(profile_of(questions, wider)).decide(
        fresh.embeddings, context(fresh)
    )

    assert 3 not in decisions.pair
    assert (decisions.pair == fresh.kind).mean() > 0.8


def test_one_pair_leaves_nothing_to_decide():
    questions = Questions(120, pairs=1)

    decisions = PredictorRouter(profile_of(questions)).decide(
        questions.embeddings, context(questions)
    )

    assert [[0]] == np.unique(decisions.ranking, axis=0).tolist()


@pytest.mark.parametrize("score", [0.0, 1.0], ids=["all-wrong", "all-right"])
def test_one_class_only_keeps_the_first_pair(questions, fresh, score):
    profile = profile_of(questions, np.full((300, 3), score))

    decisions = PredictorRouter(profile).decide(fresh.embeddings, context(fresh))

    assert [[0, 1, 2]] == np.unique(decisions.ranking, axis=0).tolist()


def test_a_profile_without_predictor_says_what_to_do(profile):
    with pytest.raises(RouterError, match=r"has no predictor.*profile again"):
        PredictorRouter(replace(profile, predictor=None))


def test_a_profile_without_training_rows_says_what_to_do(profile):
    with pytest.raises(RouterError, match="keep_train"):
        PredictorRouter(replace(profile, train=None))


def test_embeddings_are_needed(profile, fresh):
    with pytest.raises(RouterError, match="needs the embeddings"):
        PredictorRouter(profile).decide(None, context(fresh))
