"""Pages of made-up runs and profiles, with everything on them that a page can hold."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from profiles.pool import Pair
from tasks.profiling.diff import diff_profiles
from tasks.report import html
from tasks.report.facts import ProfileFacts
from tasks.report.profile_changes import changes_from
from tasks.report.profile_page import draw_profile_page
from tasks.report.profile_page_data import profile_page_of
from tests.tasks.report.conftest import make_profile, make_route_facts
from tests.tasks.report.made_pages import learnt, made_map, made_nights, made_refreshes


def profile_page() -> str:
    """A profile of four pairs with examples, an earlier version and history."""
    old, new = learnt(seed=1), learnt()
    shown = profile_page_of(
        new,
        title="example pool",
        source="labelled.parquet",
        spent_usd=Decimal("3.2048"),
        examples={0: ("What is 17 % of 3,400?", "A <b>bold</b> & very long text " * 30)},
        changes=changes_from(diff_profiles(old, new, Path()), old, new),
        nights=made_nights(["small + none", "large + none"], alarm="small + none"),
        refreshes=made_refreshes(40),
        parameters={"seed": "0"},
        next_commands=("atlas plan BACKLOG --profile latest",),
    )
    return draw_profile_page(shown)


def large_page() -> str:
    """Sixty pairs of long names in sixteen clusters of long words."""
    pairs = tuple(
        Pair(f"vendor-{i:02d}-instruct-preview", ("none", "calculator")[i % 2]) for i in range(60)
    )
    made = learnt(320, pairs=pairs, k=16, predictor=False)
    words = ("supercalifragilisticexpialidocious", "question", "number")
    profile = replace(made, top_terms=(words,) * made.k)
    shown = profile_page_of(
        profile,
        title="a pool " + "of many words " * 12,
        nights=made_nights([f"vendor-{i} + calculator" for i in range(20)]),
    )
    return draw_profile_page(replace(shown, intervals=made_map(60, made.k)))


def route_page() -> str:
    """A routed run with its profile."""
    profile = ProfileFacts(make_profile(), pool_name="example", examples={0: ("What is 1 + 1?",)})
    return html.route_page(make_route_facts(), profile=profile)
