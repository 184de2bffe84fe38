"""The package offers its main names without paying for numpy at import; the demo pool is whole."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import profiles
from profiles.pool_file import load_pool, missing_keys, unpriced
from tasks.simulate.parameters import read_parameters


def test_every_name_offered_is_there():
    assert profiles.__all__ == sorted(name for name in profiles.__all__ if hasattr(profiles, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Router'"):
        profiles.Router  # noqa: B018


def test_importing_the_package_and_a_pool_file_loads_no_numpy():
    code = "import sys, profiles, profiles.pool_file\nprint({'numpy', 'polars'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_the_demo_pool_is_valid_priced_and_needs_no_key():
    pool = load_pool(Path(str(files("profiles") / "pools" / "demo.yaml")))

    assert (5, 4, 20) == (len(pool.models), len(pool.tools), len(pool.pairs))
    assert [] == unpriced(pool)
    assert [] == missing_keys(pool, {})
    assert set(pool.models) == {
        key for key, spec in pool.models.items() if read_parameters(key, spec.parameters)
    }


def test_every_tool_that_talks_has_a_prompt():
    from profiles.prompts import prompt

    assert all("Answer:" in prompt(kind) for kind in ("none", "calculator", "python", "search"))
