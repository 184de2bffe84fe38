from __future__ import annotations

import pytest
import torch

from profiles.policies.evidence import ANSWER_FEATURES, gather_evidence


def evidence_of(keys: list[int], priors: list[float], called: list[bool]):
    return gather_evidence(torch.tensor([keys]), torch.tensor([priors]), torch.tensor([called]))


def test_two_that_agree_are_one_answer_with_two_supporters() -> None:
    evidence = evidence_of([7, 3, 7, -1], [1.0, 2.0, 0.5, 9.0], [True] * 4)

    assert evidence.leads.tolist() == [[True, True, False, False]]
    assert evidence.supporters.tolist() == [[2.0, 1.0, 2.0, 0.0]]
    assert (evidence.errors.item(), evidence.distinct.item(), evidence.calls.item()) == (1, 2, 4)
    support = evidence.answers[0, :, ANSWER_FEATURES.index("prior_supporters")] / 0.3
    assert support.tolist() == pytest.approx([1.5, 2.0, 1.5, 0.0])


def test_what_was_not_called_is_not_looked_at() -> None:
    one = evidence_of([1, 1, 2], [0.3, 5.0, -5.0], [True, False, False])
    other = evidence_of([1, 8, -1], [0.3, 0.0, 0.0], [True, False, False])

    assert torch.equal(one.answers, other.answers)
    assert torch.equal(one.none, other.none)


def test_the_order_of_calls_does_not_matter() -> None:
    one = evidence_of([4, 9, 4], [0.1, 0.2, 0.3], [True] * 3)
    other = evidence_of([9, 4, 4], [0.2, 0.3, 0.1], [True] * 3)

    assert torch.allclose(one.none, other.none)
    assert torch.allclose(one.answers[0, 0], other.answers[0, 1], atol=1e-6)
    assert torch.allclose(one.answers[0, 1], other.answers[0, 0], atol=1e-6)


def test_nothing_called_says_nothing() -> None:
    evidence = evidence_of([0, 0], [1.0, 1.0], [False, False])

    assert not evidence.leads.any()
    assert torch.isfinite(evidence.none).all()
