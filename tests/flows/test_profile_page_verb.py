"""`atlas profile page`, and the page that a profiling session leaves behind."""

from __future__ import annotations

import pytest

from tests.tasks.report.made_pages import Reader


@pytest.fixture
def profiled(atlas):
    """A profile of 60 questions, of which the last 20 are held out."""
    lines = (
        f'{{"prompt": "What is {number} plus {number % 7}?", "reference": "42", '
        f'"grader": "numeric", "split": "{"train" if number < 40 else "test"}"}}'
        for number in range(60)
    )
    questions = atlas.write("labelled.jsonl", "\n".join(lines))
    result = atlas("profile", "run", questions, "--clusters", 2)
    assert 0 == result.code, result.err
    return result


def pages(atlas):
    return sorted((atlas.folder / "warehouse/data/pages").glob("*.html"))


def test_a_profiling_session_leaves_a_page_with_held_out_questions(atlas, profiled):
    (page,) = pages(atlas)

    assert str(page.relative_to(atlas.folder)) in profiled.err
    reader = Reader(page.read_text(encoding="utf-8"))
    assert "tiny" in reader.text
    assert "What is 50 plus 1?" in reader.text or "What is 41 plus 6?" in reader.text
    assert "What is 3 plus 3?" not in reader.text
    assert "first version" in reader.text


def test_the_verb_draws_the_latest_profile_again_and_says_where(atlas, profiled):
    (page,) = pages(atlas)
    page.unlink()

    result = atlas("profile", "page")

    assert 0 == result.code, result.err
    assert str(page.relative_to(atlas.folder)) == result.out.strip()
    reader = Reader(page.read_text(encoding="utf-8"))
    assert "labelled.jsonl" in reader.text
    assert "Held-out questions that fall into it" in reader.text


def test_the_page_goes_where_it_is_wanted_under_the_title_that_is_wanted(atlas, profiled):
    result = atlas("profile", "page", "--out", "deep/er/page.html", "--title", "Fish & <chips>")

    assert "deep/er/page.html" == result.out.strip()
    assert "Fish & <chips>" in Reader((atlas.folder / "deep/er/page.html").read_text()).text


def test_questions_that_are_gone_or_changed_leave_a_page_without_examples(atlas, profiled):
    (atlas.folder / "labelled.jsonl").write_text('{"prompt": "new", "reference": "1"}\n')

    result = atlas("profile", "page", "--out", "page.html")

    assert 0 == result.code
    text = Reader((atlas.folder / "page.html").read_text()).text
    assert "no example questions" in text
    assert "What is 50" not in text


def test_a_second_version_tells_what_changed(atlas, profiled):
    more = "\n".join(
        f'{{"prompt": "How much is {number} and {number % 5}?", "reference": "42", '
        f'"grader": "numeric", "split": "train"}}'
        for number in range(30)
    )
    atlas.write("more.jsonl", (atlas.folder / "labelled.jsonl").read_text() + "\n" + more)
    assert 0 == atlas("profile", "run", "more.jsonl", "--clusters", 2).code

    result = atlas("profile", "page", "--out", "page.html")

    assert 0 == result.code, result.err
    text = Reader((atlas.folder / "page.html").read_text()).text
    assert "training questions" in text
    assert "+30" in text


@pytest.mark.parametrize("words", [(), ("profile-0000000000000000",)])
def test_a_profile_that_is_not_there_is_a_sentence(atlas, words):
    result = atlas("profile", "page", *words)

    assert 1 == result.code
    assert "There is no profile" in result.err
    assert not pages(atlas)


def test_a_page_that_cannot_be_drawn_costs_no_session(atlas, monkeypatch, caplog):
    def broken(*_arguments):
        raise RuntimeError("no ink")

    monkeypatch.setattr("flows.profile_pages.write_page", broken)
    questions = atlas.write(
        "one.jsonl", '{"prompt": "1?", "reference": "42", "grader": "exact", "split": "train"}\n'
    )

    result = atlas("profile", "run", questions, "--clusters", 1)

    assert 0 == result.code, result.err
    assert "no ink" in caplog.text
    assert "is in" in result.err


def test_a_refresh_leaves_a_page_with_its_cost_and_its_canaries(atlas, profiled):
    result = atlas("refresh", "labelled.jsonl", "--clusters", 2)

    assert 0 == result.code, result.err
    text = Reader(pages(atlas)[-1].read_text(encoding="utf-8")).text
    assert "The latest refreshes" in text
    assert "Canary questions, night by night" in text
    assert "There is no history yet" not in text
