"""Parts of a stored profile: read when looked at, checked, and absent in the first format."""

import json
from pathlib import Path

import numpy as np
import pytest

from profiles.deferred import part_digest, read_part, write_part
from profiles.errors import ProfileError
from profiles.profile import PARTS, content_id
from profiles.profile_file import load_profile, save_profile
from profiles.routers.base import RoutingContext
from profiles.routers.registry import build_router
from tests.profiles.made_profiles import random_profile

FORMAT_1 = next((Path(__file__).parent / "format_1").glob("profile-*"))


@pytest.fixture(scope="module")
def whole():
    return random_profile(n=120, pairs=3, k=2, fit_all=True)


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    return save_profile(whole, tmp_path_factory.mktemp("profiles"))


def test_every_part_comes_back_bit_for_bit(whole, folder):
    loaded = load_profile(folder)

    for name in ("train", "predictor", "selection"):
        one, other = getattr(whole, name), getattr(loaded, name)
        assert part_digest(*one.to_parts()) == part_digest(*other.to_parts()), name
    assert whole.profile_id == loaded.profile_id


def test_a_loaded_profile_decides_like_the_one_that_was_saved(whole, folder):
    points = whole.train.embeddings[:20]
    context = RoutingContext(tuple("abcdefghijklmnopqrst"), ("a question",) * 20)

    for name in ("auto", "predictor", "cluster"):
        before = build_router(name, whole).decide(points, context)
        after = build_router(name, load_profile(folder)).decide(points, context)

        np.testing.assert_array_equal(before.pair, after.pair)
        np.testing.assert_array_equal(before.expected_score, after.expected_score)


def test_a_part_is_read_when_it_is_first_looked_at(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "profiles.profile_file.read_part", lambda path: asked.append(path.name) or read_part(path)
    )

    profile = load_profile(folder)
    assert 2 == profile.k
    assert [] == asked
    assert profile.selection is profile.selection
    assert ["selection.npz"] == asked


@pytest.mark.parametrize("name", ["train.parquet", "predictor.npz", "selection.npz"])
def test_a_damaged_part_is_refused_when_it_is_looked_at(whole, tmp_path, name):
    folder = save_profile(whole, tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    profile = load_profile(folder)

    with pytest.raises(ProfileError, match="is damaged"):
        getattr(profile, name.partition(".")[0])
    with pytest.raises(ProfileError, match="is damaged"):
        load_profile(folder, whole=True)


def test_a_part_of_another_profile_is_refused(whole, tmp_path):
    folder = save_profile(whole, tmp_path / "one")
    other = save_profile(
        random_profile(n=120, pairs=3, k=2, seed=1, fit_all=True), tmp_path / "two"
    )
    (folder / "selection.npz").write_bytes((other / "selection.npz").read_bytes())
    manifest = json.loads((folder / "profile.json").read_text())
    theirs = json.loads((other / "profile.json").read_text())
    manifest["files"]["selection.npz"] = theirs["files"]["selection.npz"]
    (folder / "profile.json").write_text(json.dumps(manifest))

    profile = load_profile(folder)

    with pytest.raises(ProfileError, match=r"selection\.npz is not that of"):
        _ = profile.selection


def test_every_part_counts_in_the_id(whole):
    parts = {name: getattr(whole, name) for name in whole.__dataclass_fields__}
    ids = {content_id({**parts, name: None}) for name in PARTS}

    assert 5 == len({whole.profile_id, *ids})
    assert whole.profile_id == content_id(parts)


def test_a_correlation_survives_the_file(whole, tmp_path):
    loaded = load_profile(save_profile(whole, tmp_path)).correlation

    assert (3, 3) == loaded.raw.shape
    for mine, theirs in zip(whole.correlation, loaded, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_folder_of_the_first_format_is_read_as_ever():
    profile = load_profile(FORMAT_1, whole=True)

    assert FORMAT_1.name == profile.profile_id
    assert (3, 18) == (profile.k, len(profile.train.query_ids))
    assert [None] * 3 == [getattr(profile, name) for name in PARTS if name != "train"]
    assert not profile.settings.selection
    assert np.isnan(profile.statistics.score_posterior_low).all()


def test_a_damaged_folder_of_the_first_format_is_refused_at_once(tmp_path):
    folder = tmp_path / FORMAT_1.name
    folder.mkdir()
    for path in FORMAT_1.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "train.parquet").write_bytes(b"x")

    with pytest.raises(ProfileError, match="is damaged"):
        load_profile(folder)


def test_a_part_holds_plain_numbers_only(tmp_path):
    with pytest.raises(ProfileError, match="only arrays of plain numbers"):
        write_part(tmp_path / "part.npz", {}, {"names": np.array(["a", None], dtype=object)})


def test_words_and_arrays_of_a_part_survive(tmp_path):
    words = {"text": "zwölf \ud800", "number": 0.1, "list": [1, None]}
    arrays = {"a/b": np.arange(6, dtype=np.float16).reshape(2, 3), "none": np.empty((0, 2))}
    write_part(tmp_path / "part.npz", words, arrays)

    found_words, found = read_part(tmp_path / "part.npz")

    assert words == found_words
    assert part_digest(words, arrays) == part_digest(found_words, found)
