"""Versions stay, the pointer moves, and the history says who moved it and why."""

from __future__ import annotations

import pytest

from tasks.profiling.history import FILE
from tasks.profiling.store import (
    FOLDER,
    ProfileNotFoundError,
    find_profile,
    history,
    latest_id,
    profile_versions,
    publish_profile,
    set_latest,
)
from tests.tasks.small_runs import Small

CHEAP = [[0.001, 0.002], [0.001, 0.002]]


@pytest.fixture
def versions(tmp_path):
    """Two versions, the second one the latest."""
    small = Small(tmp_path)
    first = small.profile([[0.5, 1.0], [1.0, 0.5]], CHEAP)
    second = small.profile([[1.0, 1.0], [1.0, 0.5]], CHEAP)
    return small.root, first, second


def test_a_saved_version_is_kept_but_not_used_until_it_is_promoted(tmp_path):
    small = Small(tmp_path)
    first = small.profile([[0.5, 1.0], [1.0, 0.5]], CHEAP)
    (tmp_path / "other").mkdir()
    second = Small(tmp_path / "other").profile([[1.0, 1.0], [1.0, 0.5]], CHEAP)

    publish_profile(small.root, second, make_latest=False, reason="nightly refresh")

    assert first.profile_id == find_profile(small.root).profile_id
    assert second.profile_id == find_profile(small.root, second.profile_id).profile_id
    set_latest(small.root, second.profile_id, "passed the gate")
    assert second.profile_id == find_profile(small.root).profile_id
    told = [(entry.profile_id, entry.event, entry.reason) for entry in history(small.root)][-2:]
    assert [
        (second.profile_id, "saved", "nightly refresh"),
        (second.profile_id, "latest", "passed the gate"),
    ] == told


def test_going_back_to_an_earlier_version_is_one_move_with_a_reason(versions):
    root, first, second = versions

    entry = set_latest(root, first.profile_id, "the new one costs more")

    assert (first.profile_id, second.profile_id) == (latest_id(root), entry.previous)
    assert "the new one costs more" == history(root)[-1].reason
    assert "@" in entry.by


def test_promoting_what_is_latest_already_notes_nothing(versions):
    root, _, second = versions
    before = history(root)

    assert set_latest(root, second.profile_id, "again") is None
    assert before == history(root)


def test_a_move_killed_before_the_pointer_moved_is_finished_without_a_second_line(versions):
    root, first, second = versions
    set_latest(root, first.profile_id, "rollback")
    # What a kill between the two leaves: the line is there, the pointer is where it was.
    (root / FOLDER / "latest").write_text(second.profile_id + "\n")
    lines = len(history(root))

    set_latest(root, first.profile_id, "rollback")

    assert (first.profile_id, lines) == (latest_id(root), len(history(root)))


def test_a_torn_line_spoils_neither_reading_nor_the_next_line(versions):
    root, first, _ = versions
    path = root / FOLDER / FILE
    whole = history(root)
    path.write_bytes(path.read_bytes() + b'{"profile_id": "prof')

    assert whole == history(root)
    set_latest(root, first.profile_id, "after the cut")
    assert [*whole, history(root)[-1]] == history(root)
    assert "after the cut" == history(root)[-1].reason


def test_versions_are_listed_newest_first_and_a_damaged_one_is_not_hidden(versions):
    root, first, second = versions
    (root / FOLDER / first.profile_id / "profile.json").write_text("{")

    listed = {version.profile_id: version for version in profile_versions(root)}

    assert {first.profile_id, second.profile_id} == listed.keys()
    assert listed[second.profile_id].latest
    assert (2, "latest") == (
        listed[second.profile_id].pairs,
        listed[second.profile_id].entry.event,
    )
    assert ("damaged", False) == (listed[first.profile_id].encoder, listed[first.profile_id].latest)


def test_a_version_that_does_not_exist_cannot_be_promoted(versions):
    root, _, second = versions

    with pytest.raises(ProfileNotFoundError, match="no profile 'profile-none'"):
        set_latest(root, "profile-none", "typo")
    assert second.profile_id == latest_id(root)
