"""The garbage collector is as it was once a run has ended, however it ended."""

from __future__ import annotations

import gc

import pytest

from tasks.batch.collector import THRESHOLDS, rare_collections
from tasks.call.base import ChatResponse, Usage
from tasks.call.scripted import ScriptedClient


@pytest.fixture(autouse=True)
def restored():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize("before", [(700, 10, 10), (0, 10, 10), (90_000, 10, 10)])
def test_it_is_rarer_inside_and_as_it_was_outside(before):
    gc.set_threshold(*before)

    with rare_collections():
        inside = gc.get_threshold()

    assert before == gc.get_threshold()
    assert inside == (THRESHOLDS if before[0] == 700 else before)


def test_an_error_restores_it():
    gc.set_threshold(700, 10, 10)

    with pytest.raises(KeyError), rare_collections():
        raise KeyError

    assert (700, 10, 10) == gc.get_threshold()


def test_a_run_collects_rarely(workshop):
    workshop.backlog(1)
    gc.set_threshold(700, 10, 10)
    seen = []

    def answer(_request):
        seen.append(gc.get_threshold())
        return ChatResponse("Answer: 42", Usage(1, 1))

    workshop.route(ScriptedClient(default=answer))

    assert [THRESHOLDS] == seen
    assert (700, 10, 10) == gc.get_threshold()
