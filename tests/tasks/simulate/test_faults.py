from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.simulate.faults import Fault, Faults, FaultsError


def test_a_description_is_read_and_the_rest_stays_at_its_default() -> None:
    faults = Faults.parse(" latency=0.05, rate_limit = 0.1,quota_after=7,,")

    assert Faults(latency=0.05, rate_limit=0.1, quota_after=7) == faults
    assert Faults() == Faults.parse("")


@given(
    st.builds(
        Faults,
        latency=st.integers(0, 100).map(lambda n: n / 100),
        rate_limit=st.integers(0, 50).map(lambda n: n / 100),
        hang=st.integers(0, 50).map(lambda n: n / 100),
        quota_after=st.integers(0, 10_000),
        seed=st.integers(0, 10_000),
    )
)
def test_faults_are_written_as_they_are_read(faults: Faults) -> None:
    assert faults == Faults.parse(str(faults))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("latencey=1", "no fault called 'latencey'; there are: latency, rate_limit"),
        ("latency", "'latency' is not of the form name=number"),
        ("reset=0.1,reset=0.2", "reset is named twice"),
        ("reset=often", "reset needs a number, not 'often'"),
        ("quota_after=1.5", "quota_after needs a whole number, not '1.5'"),
        ("quota_after=-1", "quota_after is a number of answers, not -1"),
        ("hang=1.5", "hang is a probability between 0 and 1, not 1.5"),
        ("hang=-0.1", "hang is a probability"),
        ("hang=nan", "hang is a probability"),
        ("latency=-1", "latency is a number of seconds, 0 or more, not -1"),
        ("latency=inf", "latency is a number of seconds"),
        ("reset=0.6,hang=0.6", "add up to 1.2, over 1"),
    ],
)
def test_a_description_that_makes_no_sense_says_where(text: str, sentence: str) -> None:
    with pytest.raises(FaultsError, match=sentence):
        Faults.parse(text)


def test_numbers_can_be_changed_one_by_one() -> None:
    faults = Faults(reset=0.5).changed({"latency": 1, "quota_after": 3})

    assert Faults(reset=0.5, latency=1.0, quota_after=3) == faults
    with pytest.raises(FaultsError, match="latency needs a number, not None"):
        faults.changed({"latency": None})


def test_the_same_request_suffers_the_same_fault_and_its_repetition_draws_anew() -> None:
    faults = Faults(rate_limit=0.5, seed=1)
    keys = [f"key-{i}" for i in range(200)]

    first = [faults.draw(key, 1) for key in keys]

    assert first == [faults.draw(key, 1) for key in keys]
    assert first != [faults.draw(key, 2) for key in keys]
    assert first != [Faults(rate_limit=0.5, seed=2).draw(key, 1) for key in keys]


def test_faults_come_as_often_as_was_asked() -> None:
    faults = Faults.parse("rate_limit=0.2,server_error=0.1,hang=0.05")

    drawn = Counter(faults.draw(f"{i}", 1) for i in range(20_000))

    expected = {Fault.RATE_LIMIT: 0.2, Fault.SERVER_ERROR: 0.1, Fault.HANG: 0.05, None: 0.65}
    assert set(expected) == set(drawn)
    for fault, share in expected.items():
        assert pytest.approx(share, abs=0.015) == drawn[fault] / 20_000


def test_which_half_is_independent_of_which_fault() -> None:
    faults = Faults(reset=0.1)
    hit = [f"{i}" for i in range(20_000) if faults.draw(f"{i}", 1)]

    assert pytest.approx(0.5, abs=0.05) == sum(faults.late(key, 1) for key in hit) / len(hit)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_certain_fault_hits_every_request(fault: Fault) -> None:
    faults = Faults().changed({fault.value: 1.0})

    assert {fault} == {faults.draw(f"{i}", i) for i in range(50)}
