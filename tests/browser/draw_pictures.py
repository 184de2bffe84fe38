"""Draws `docs/pictures/*.png`: `make screenshots`, some minutes, no key and no network.

A pool of simulated models is profiled twice on questions that we generate ourselves: on half of
them, then on all. The page of the second version is opened in a headless Chromium and photographed
part by part. Only the nights of canaries and refreshes are made up, by `made_pages` of the report's
tests: nobody waits a month for a picture.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from flows.console import say
from flows.profile_pages import page_of, write_page
from flows.profiling import profile_session
from flows.settings import ProfileSettings
from tasks.generate.benchmark import write_benchmark
from tasks.read import read_labelled
from tasks.report import formats as f
from tasks.report.profile_page_facts import ProfilePage
from tests.browser.headless import Headless, find_browser
from tests.tasks.report.made_pages import made_nights, made_refreshes

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SECTIONS = ("changes", "pairs", "front", "routers", "trust", "clusters", "freshness")
TO_THE_FRONT = "document.getElementById('front').scrollIntoView({behavior: 'instant'})"
LARGEST = 300_000
"""Bytes of a picture: pages of documentation are read on trains too."""


def main() -> int:
    """Profile, draw, photograph."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--work", type=Path, default=Path("build/pictures"), help="kept between runs"
    )
    parser.add_argument("--out", type=Path, default=PICTURES)
    parser.add_argument("--labelled", type=int, default=1000)
    wanted = parser.parse_args()
    browser = find_browser()
    if browser is None:
        say("there is no Chromium here to photograph pages with: apt-get install chromium")
        return 1
    page = wanted.work / "profile.html"
    write_page(learn(wanted.work, wanted.labelled), page)
    wanted.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(photograph(browser, page.absolute(), wanted.out))
    return 0


def learn(work: Path, labelled: int) -> ProfilePage:
    """Profile half of the questions, then all of them, and gather what the page shows."""
    example = work / "example"
    if not (example / "pool.yaml").exists():
        write_benchmark(example, seed=1, labelled=labelled, backlog=10)
    outcome = None
    for limit in (labelled // 2, None):
        settings = ProfileSettings(
            root=work / "data",
            questions=str(example / "labelled.parquet"),
            pool=example / "pool.yaml",
            limit=limit,
            runner="plain",
            tracking=False,
        )
        outcome = profile_session(settings)
    assert outcome is not None
    assert outcome.facts is not None
    shown = page_of(
        settings.root,
        outcome.facts.profile,
        title=outcome.facts.pool_name,
        source=Path(settings.questions).name,
        queries=read_labelled(settings.questions).queries,
        parameters={"encoder": settings.encoder, "seed": str(settings.seed)},
        next_commands=("atlas plan backlog.jsonl --pool pool.yaml",),
    )
    names = [f.pair_label(pair.pair_id) for pair in outcome.facts.profile.pairs[:6]]
    nights = tuple(made_nights(names, 30, alarm=names[2]))
    return replace(shown, nights=nights, refreshes=tuple(made_refreshes(30)))


async def photograph(command: str, page: Path, out: Path) -> None:
    """One picture a part of the page, one of its top, one in the dark, one on a phone."""
    async with Headless(command) as browser:
        await browser.theme("light")
        await browser.open(page, width=1280, height=1000)
        keep(out / "page.png", await browser.photograph())
        await browser.ask("document.querySelector('#clusters details:last-of-type').open = true")
        for name in SECTIONS:
            box = await browser.ask(
                f"(r => [r.left - 24, r.top + scrollY - 8, r.width + 48, r.height + 24])"
                f"(document.getElementById('{name}').getBoundingClientRect())"
            )
            left, top, width, height = box
            keep(out / f"{name}.png", await browser.photograph((left, top, width, height)))
        await browser.theme("dark")
        await browser.open(page, width=1280, height=1000)
        await browser.ask(TO_THE_FRONT)
        keep(out / "dark.png", await browser.photograph())
        await browser.theme("light")
        await browser.open(page, width=390, height=844)
        await browser.ask(TO_THE_FRONT)
        keep(out / "phone.png", await browser.photograph())
        for complaint in browser.complaints:
            say(f"the page complains: {complaint}")


def keep(path: Path, png: bytes) -> None:
    """Write a picture; one that is too heavy is said."""
    path.write_bytes(png)
    heavy = f", more than {LARGEST:,}" if len(png) > LARGEST else ""
    say(f"wrote {path}: {len(png):,} bytes{heavy}")


if __name__ == "__main__":
    sys.exit(main())
