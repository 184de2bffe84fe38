"""A page needs nothing but itself, and nothing in it can act."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.report.facts import PairUse
from tasks.report.html import route_page
from tasks.report.layout import Document
from tasks.report.markup import Markup, block, element
from tests.tasks.report.made_pages import ATTACK, Reader


@pytest.fixture(scope="module")
def pages(route_facts, small_profile_facts, evaluation_facts):
    return {
        "route": route_page(route_facts, evaluation=evaluation_facts, profile=small_profile_facts),
        "alone": route_page(route_facts),
    }


@pytest.mark.parametrize("name", ["route", "alone"])
def test_pages_are_well_formed_and_ask_nobody_for_anything(pages, name):
    reader = Reader(pages[name])

    assert [] == reader.open
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(reader.tags)
    loaded = [value for _, attribute, value in reader.attributes if attribute in {"src", "href"}]
    assert all(value.startswith("data:image/png;base64,") for value in loaded)
    assert "url(" not in pages[name]
    assert "@import" not in pages[name]


@pytest.mark.parametrize("name", ["route", "alone"])
def test_pages_can_be_read_without_seeing(pages, name):
    reader = Reader(pages[name])

    described = [value for tag, attribute, value in reader.attributes if attribute == "alt"]
    assert reader.tags.count("img") == len([text for text in described if len(text) > 20])
    assert ("html", "lang", "en") in reader.attributes
    assert 1 == reader.tags.count("h1")
    assert reader.tags.count("th") == len(
        [a for a in reader.attributes if a[:2] == ("th", "scope")]
    )


@pytest.mark.parametrize("name", ["route", "alone"])
def test_pages_follow_the_readers_light_or_dark(pages, name):
    assert "color-scheme: light dark" in pages[name]
    assert "prefers-color-scheme: dark" in pages[name]


def test_the_page_of_a_run_tells_all_of_it(pages):
    text = Reader(pages["route"]).text

    for words in (
        "9,939", "$18.42", "small-7b + none", "rate_limited 30", "cluster-plain",
        "Held-out questions that fall into it:", "What is 17 % of 3,400?",
        "careful-reasoner-with-a-very-long-name + search", "atlas runs retry",
    ):  # fmt: skip
        assert words in text


def test_text_of_questions_and_names_cannot_act(route_facts, small_profile_facts):
    facts = replace(
        route_facts,
        source=ATTACK,
        run_id=ATTACK,
        pairs=(PairUse(f"{ATTACK}@@none", 3),),
        next_commands=(ATTACK,),
        errors={ATTACK: 1},
    )
    profile = replace(small_profile_facts, examples={0: (ATTACK,)}, pool_name=ATTACK, source=ATTACK)

    page = route_page(facts, profile=profile)

    reader = Reader(page)
    assert "script" not in reader.tags
    assert not [attribute for _, attribute, _ in reader.attributes if attribute.startswith("on")]
    assert "<script>alert(1)</script>" in reader.text
    page.encode("utf-8")
    assert "\x00" not in page


def test_the_browser_is_told_to_refuse_scripts_and_requests(pages):
    policies = [
        value
        for tag, attribute, value in Reader(pages["route"]).attributes
        if (tag, attribute) == ("meta", "content") and "default-src" in value
    ]

    assert ["default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"] == (
        policies
    )


def test_a_run_that_has_done_nothing_yet_has_a_page(route_facts):
    facts = replace(
        route_facts, rows=0, answered=0, failed=0, pending=0, in_doubt=0, pairs=(), spend=(),
        versus=None, errors=None, next_commands=(),
    )  # fmt: skip

    assert "0 queries" in Reader(route_page(facts)).text


def test_elements_escape_text_and_attributes_but_not_each_other():
    inner = element("b", "a < b")

    assert '<p title="&quot;x&quot;"><b>a &lt; b</b>&amp;</p>' == element(
        "p", inner, "&", title='"x"'
    )
    assert isinstance(inner, Markup)


def test_a_block_without_an_html_form_is_refused():
    with pytest.raises(TypeError, match="Document has no HTML form"):
        block(Document("t", []))
