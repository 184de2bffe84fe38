"""Pages open offline in a real browser: without a complaint, a request, or a word cut off."""

from __future__ import annotations

import pytest

from tests.browser.headless import Headless, find_browser
from tests.browser.made_pages import large_page, profile_page, route_page

BROWSER = find_browser()

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None,
        reason="no Chromium here to open pages with; `apt-get install chromium`, or name one in "
        "ATLAS_BROWSER",
    ),
]

PAGES = {"profile": profile_page, "large": large_page, "route": route_page}

CUT_OFF = """
[...document.querySelectorAll('svg.picture')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  if (!box.width) return [];
  return [...svg.querySelectorAll('text')].filter(text => {
    const own = text.getBoundingClientRect();
    return own.left < box.left - 1 || own.right > box.right + 1
        || own.top < box.top - 2 || own.bottom > box.bottom + 2;
  }).map(text => text.textContent);
})
"""
COVERED = """
[...document.querySelectorAll('svg.picture')].flatMap(svg => {
  if (!svg.getBoundingClientRect().width) return [];
  const boxes = [...svg.querySelectorAll('text:not(.badge)')].map(
    text => [text.getBoundingClientRect(), text.textContent]);
  const found = [];
  boxes.forEach(([a, first], i) => boxes.slice(i + 1).forEach(([b, second]) => {
    // Boxes hold the whole line: letters fill about the middle two thirds of them.
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 2 && down > a.height / 3) found.push([first, second]);
  }));
  return found;
})
"""
SMALLEST = """
Math.min(99, ...[...document.querySelectorAll('svg.picture text')].map(text => {
  const svg = text.closest('svg'), box = svg.getBoundingClientRect();
  return box.width ? parseFloat(getComputedStyle(text).fontSize)
      * box.width / svg.viewBox.baseVal.width : 99;
}))
"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, make in PAGES.items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(make(), encoding="utf-8")
    return made


async def test_pages_open_offline_and_complain_about_nothing(pages):
    async with Headless(BROWSER) as browser:
        for theme in ("light", "dark"):
            await browser.theme(theme)
            for page in pages.values():
                await browser.open(page)
                await browser.size(390)
                assert await browser.ask("document.querySelectorAll('h2').length") > 2

        assert [] == browser.complaints
        assert [] == browser.requests


async def test_a_broken_page_would_have_been_noticed(tmp_path):
    page = tmp_path / "broken.html"
    page.write_text(
        "<!doctype html><script>console.error('no')</script><script>nothing()</script>"
        "<img src='http://127.0.0.1:9/x.png'>",
        encoding="utf-8",
    )

    async with Headless(BROWSER) as browser:
        await browser.open(page)

        assert 2 <= len(browser.complaints)
        assert ["http://127.0.0.1:9/x.png"] == browser.requests


async def test_nothing_is_cut_off_covered_or_too_small_on_a_screen_and_on_a_phone(pages):
    async with Headless(BROWSER) as browser:
        for name, page in pages.items():
            for width in (1280, 900, 390):
                await browser.open(page, width=width)
                where = f"{name} at {width}"

                assert 0 >= await browser.ask(OVERFLOW), where
                assert [] == await browser.ask(CUT_OFF), where
                assert [] == await browser.ask(COVERED), where
                assert 8.5 <= await browser.ask(SMALLEST), where


async def test_dark_and_light_differ_in_page_and_pictures(pages):
    kinds = ("body", ".picture text", "td[class^=h]")
    colours = "[" + ", ".join(f"document.querySelector('{kind}')" for kind in kinds) + "]"
    seen = {}
    async with Headless(BROWSER) as browser:
        await browser.open(pages["profile"])
        for theme in ("light", "dark"):
            await browser.theme(theme)
            seen[theme] = await browser.ask(
                f"{colours}.map(e => getComputedStyle(e).color + getComputedStyle(e).fill"
                " + getComputedStyle(e).backgroundColor)"
            )

    assert 3 == len(seen["light"])
    assert all(a != b for a, b in zip(seen["light"], seen["dark"], strict=True))


async def test_the_page_can_be_used_by_keyboard_alone(pages):
    async with Headless(BROWSER) as browser:
        await browser.open(pages["profile"])
        reached, toggled = [], []
        opened = "document.activeElement.parentElement.open"
        for _ in range(40):
            await browser.press("Tab")
            reached.append(
                await browser.ask(
                    "(e => e.tagName + ' ' + (e.className || '') + ' ' +"
                    " (getComputedStyle(e).outlineStyle))(document.activeElement)"
                )
            )
            if reached[-1].startswith("SUMMARY") and not toggled:
                toggled.append(await browser.ask(opened))
                await browser.press("Enter")
                toggled.append(await browser.ask(opened))

    assert [False, True] == toggled
    assert any(one.startswith("A ") for one in reached)
    assert any(one.startswith("DIV grid") for one in reached)
    assert not [one for one in reached if one.endswith("none") and not one.startswith("BODY")]
