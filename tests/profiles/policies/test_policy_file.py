from __future__ import annotations

import json
import pickle
from dataclasses import asdict, fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.policies import policy_file
from profiles.policies.policy import SINGLE, Policy
from profiles.policies.policy_file import (
    WEIGHTS,
    WORDS,
    PolicyFileError,
    read_policy,
    write_policy,
)
from tests.profiles.policies.made_policies import KINDS, made_live, made_policy


@given(
    seed=st.integers(0, 2**20),
    count=st.integers(1, 5),
    networks=st.integers(0, 3),
    unit=st.one_of(st.just(float("nan")), st.floats(0, 10, allow_nan=False)),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_written_is_read_back_bit_by_bit(
    tmp_path: Path, seed: int, count: int, networks: int, unit: float
) -> None:
    pairs = tuple(f"m{number}@@nöne" for number in range(count))
    policy = made_policy(seed, pairs=pairs, networks=networks, unit_usd=unit)
    folder = tmp_path / policy.policy_id
    write_policy(policy, folder)
    read = read_policy(folder)

    assert read.policy_id == policy.policy_id
    for name, array in policy.arrays().items():
        found = read.arrays()[name]
        assert (found.dtype, found.shape, found.tobytes()) == (
            array.dtype,
            array.shape,
            array.tobytes(),
        ), name
    for field in fields(Policy):
        if field.name not in _HOLDING_ARRAYS:
            np.testing.assert_equal(getattr(read, field.name), getattr(policy, field.name))
    assert read.aggregator.settings == policy.aggregator.settings
    assert [one.settings for one in read.networks] == [one.settings for one in policy.networks]


_HOLDING_ARRAYS = {
    "costs", "accuracy", "accuracy_sd", "correlation", "components", "aggregator", "networks",
}  # fmt: skip
"""Fields that `Policy.arrays` and the shapes of the networks tell everything about."""


def test_every_strategy_decides_as_before(tmp_path: Path) -> None:
    policy = made_policy(3, networks=2)
    write_policy(policy, tmp_path / "p")
    read = read_policy(tmp_path / "p")
    live = made_live(policy)

    for kind in (*KINDS, "hybrid"):
        for price in (0.002, 0.03, 0.3):
            before = policy.strategy(kind, price).act(live)
            assert read.strategy(kind, price).act(live).tolist() == before.tolist()


def test_reading_draws_no_random_number(tmp_path: Path) -> None:
    write_policy(made_policy(), tmp_path / "p")
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    read_policy(tmp_path / "p")

    assert torch.equal(torch.rand(3), wanted)


def test_a_folder_holds_two_files_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    write_policy(made_policy(), tmp_path / "policies" / "p")
    write_policy(made_policy(), tmp_path / "policies" / "p")

    assert [one.name for one in (tmp_path / "policies").iterdir()] == ["p"]
    assert {one.name for one in (tmp_path / "policies" / "p").iterdir()} == {WORDS, WEIGHTS}


def test_another_policy_does_not_take_a_folder_over(tmp_path: Path) -> None:
    write_policy(made_policy(0), tmp_path / "p")

    with pytest.raises(PolicyFileError, match=r"holds policy-.*give the policy another folder"):
        write_policy(made_policy(1), tmp_path / "p")
    assert read_policy(tmp_path / "p").policy_id == made_policy(0).policy_id


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(policy_file, "sync_file", full)
    with pytest.raises(PolicyFileError, match=r"cannot write the policy .*No space left"):
        write_policy(made_policy(), tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_no_byte_of_either_file_may_change(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    write_policy(made_policy(), folder)
    random = np.random.default_rng(0)
    for name in (WORDS, WEIGHTS):
        whole = (folder / name).read_bytes()
        for place in random.integers(0, len(whole), 40).tolist():
            damaged = bytearray(whole)
            damaged[place] ^= 1 << int(random.integers(0, 8))
            if name == WORDS and _same_words(bytes(damaged), whole):
                continue  # a blank between two words says nothing
            (folder / name).write_bytes(bytes(damaged))
            with pytest.raises(PolicyFileError):
                read_policy(folder)
        (folder / name).write_bytes(whole)
    assert read_policy(folder).policy_id == made_policy().policy_id


def _same_words(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", [WORDS, WEIGHTS])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, name: str, share: float) -> None:
    folder = tmp_path / "p"
    write_policy(made_policy(), folder)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(PolicyFileError, match=f"{name}.*(damaged|cannot be read).*atlas train"):
        read_policy(folder)


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("went-off"),))


def test_a_pickle_in_the_place_of_the_weights_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "p"
    write_policy(made_policy(), folder)
    (folder / WEIGHTS).write_bytes(pickle.dumps(_Bomb()))
    # Whoever can put a file there can make the hashes fit as well.
    rewrite_words(folder, weights_sha256=sha256((folder / WEIGHTS).read_bytes()).hexdigest())

    with pytest.raises(PolicyFileError, match="is no safetensors file"):
        read_policy(folder)
    assert not Path("went-off").exists()


def rewrite_words(folder: Path, **changed: object) -> None:
    """Change words and make their hash fit."""
    words = json.loads((folder / WORDS).read_text()) | changed
    words["words_sha256"] = policy_file._words_sha256(words)
    (folder / WORDS).write_text(json.dumps(words))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"format": 2}, "has format 2, this version reads 1; update atlas"),
        ({"format": "1"}, "has format '1'"),
        ({"max_calls": 2}, "the contents are not those of policy-"),
        ({"profile_id": "profile-other"}, "the contents are not those of policy-"),
        ({"policy_id": "policy-other"}, "the contents are not those of policy-other"),
        ({"aggregator": {"hidden": 5}}, "is not a whole policy"),
        ({"networks": [{}]}, "is not a whole policy"),
        ({"points": [{"price": 1.0}]}, "is not a whole policy"),
        ({"pairs": None}, "is not a whole policy"),
    ],
)
def test_words_that_do_not_belong_are_refused(
    tmp_path: Path, changed: dict[str, object], sentence: str
) -> None:
    folder = tmp_path / "p"
    write_policy(made_policy(), folder)
    rewrite_words(folder, **changed)

    with pytest.raises(PolicyFileError, match=sentence):
        read_policy(folder)


def test_weights_of_another_policy_are_refused(tmp_path: Path) -> None:
    write_policy(made_policy(0), tmp_path / "p")
    write_policy(made_policy(1), tmp_path / "q")
    weights = (tmp_path / "q" / WEIGHTS).read_bytes()
    (tmp_path / "p" / WEIGHTS).write_bytes(weights)
    rewrite_words(tmp_path / "p", weights_sha256=sha256(weights).hexdigest())

    with pytest.raises(PolicyFileError, match="the contents are not those of"):
        read_policy(tmp_path / "p")


def test_what_is_not_there_or_foreign_is_said(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError, match=r"there is no policy in .*atlas train"):
        read_policy(tmp_path / "nothing")
    (tmp_path / WORDS).write_text("[1, 2]")
    with pytest.raises(PolicyFileError, match="is not the description of a policy"):
        read_policy(tmp_path)


def test_the_price_points_are_kept_whole(tmp_path: Path) -> None:
    policy = made_policy()
    policy = replace(policy, points=(replace(policy.points[0], cascade=((2, 0, 1), 2, 2.0)),))
    write_policy(policy, tmp_path / "p")

    assert [asdict(one) for one in read_policy(tmp_path / "p").points] == [
        asdict(one) for one in policy.points
    ]


def test_the_single_pair_is_the_best_over_datasets_and_stays_so_on_disk(tmp_path: Path) -> None:
    plain = made_policy()
    by_accuracy = int(plain.accuracy.argmax())
    other = (by_accuracy + 1) % len(plain.pairs)
    macro = np.where(np.arange(len(plain.pairs)) == other, 0.9, 0.1)
    policy = replace(plain, macro=macro)
    write_policy(policy, tmp_path / "p")
    read = read_policy(tmp_path / "p")

    assert (by_accuracy, other) == (plain.single(0.0), read.single(0.0))
    assert read.strategy(SINGLE, 1e-9).fixed == other
    assert read.policy_id == policy.policy_id != plain.policy_id
    assert plain.single(1e6) == read.single(1e6) == int(plain.costs.argmin())
