"""What the README says is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from flows.cli import VERBS
from profiles.pool_file import load_pool

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_told_to_newcomers(verb):
    assert re.search(rf"(atlas|make) {verb}\b", README)


def test_the_pool_of_the_readme_is_a_valid_pool(tmp_path):
    (yaml,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "pool.yaml").write_text(yaml, encoding="utf-8")
    pool = load_pool(tmp_path / "pool.yaml")

    assert 7 == len(pool.pairs)


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert [] == [link for link in links if not (ROOT / link).exists()]


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"\bmake ([a-z-]+)", README)) - {"it"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert set() == {name for name in targets if not re.search(rf"^{name}:", makefile, re.M)}


def test_no_module_shadows_the_standard_library():
    flat = [path for path in ROOT.glob("flows/*.py") if path.stem != "__init__"]

    assert [] == [path.name for path in flat if path.stem in sys.stdlib_module_names]


@pytest.mark.parametrize("package", ["flows", "tasks", "profiles", "warehouse"])
def test_modules_stay_small(package):
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / package).rglob("*.py")
    }

    assert {} == {name: size for name, size in sizes.items() if size > 400}
