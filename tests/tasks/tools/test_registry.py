"""Tools are built from a pool, or every problem is said before the first call."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from profiles.pool import Pool, ToolSpec
from tasks.tools import registry
from tasks.tools.isolation import REFUSED, UNSAFE, Tier, detect_tier
from tasks.tools.registry import ToolConfigError, build_tools

if TYPE_CHECKING:
    from pathlib import Path


def pool(*tools: ToolSpec) -> Pool:
    specs = {tool.key: tool for tool in tools}
    return Pool("test", {}, specs, (), fingerprint="f", source="pool.yaml")


def spec(kind: str, key: str | None = None, **parameters: Any) -> ToolSpec:
    return ToolSpec(key or kind, kind, parameters, Decimal("0.01"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("alpha")
    return tmp_path


async def test_every_kind_is_built_under_its_key(folder: Path) -> None:
    if not detect_tier().usable:
        pytest.skip("no sandbox here")
    tools = build_tools(
        pool(
            spec("none"),
            spec("recorded"),
            spec("calculator", "calc", timeout_s=2),
            spec("python", memory_mb=256),
            spec("search", corpus="corpus", top=2),
            spec("search", "web", url="https://example.org", key_env="K", engine="e"),
        ),
        base_dir=folder,
        env={"K": "secret"},
    )

    assert {key: tool.kind for key, tool in tools.items()} == {
        "none": "none",
        "recorded": "recorded",
        "calc": "calculator",
        "python": "python",
        "search": "search",
        "web": "search",
    }
    assert all(tool.price_per_call_usd == Decimal("0.01") for tool in tools.values())
    assert all(tool.schema.description for tool in tools.values())
    assert "alpha" in (await tools["search"].run({"query": "alpha"})).output
    assert not (await tools["none"].run({})).ok
    for tool in tools.values():
        await tool.close()


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (spec("magic"), "tool 'magic': there is no kind of tool called 'magic'"),
        (spec("calculator", precison=3), "parameter 'precison' is unknown"),
        (spec("calculator", timeout_s=-1), "parameter 'timeout_s': input should be greater than 0"),
        (spec("calculator", timeout_s="soon"), "parameter 'timeout_s'"),
        (spec("none", x=1), "parameter 'x' is unknown"),
        (spec("python", memory_mb=1), "parameter 'memory_mb'"),
        (spec("search"), "give either 'corpus'"),
        (spec("search", corpus="a", url="https://b"), "give either 'corpus'"),
        (spec("search", corpus="nowhere"), "nowhere does not exist"),
        (spec("search", corpus="empty"), "holds no .txt"),
        (spec("search", url="ftp://b"), "'url' starts with http"),
        (spec("search", corpus="a", key_env="K"), "belong to 'url'"),
        (spec("search", url="https://b", key_env="MISSING"), "'MISSING' is not set"),
        (ToolSpec("calc", "calculator", unsafe=True), "'unsafe' has a meaning for kind python"),
    ],
)
def test_a_bad_tool_is_said_with_its_name(folder: Path, tool: ToolSpec, said: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(ToolConfigError) as caught:
        build_tools(pool(tool), base_dir=folder, env={})

    assert said in str(caught.value)
    assert str(caught.value).startswith(f"pool.yaml: tool {tool.key!r}: ")


def test_all_problems_are_said_at_once(folder: Path) -> None:
    with pytest.raises(ToolConfigError) as caught:
        build_tools(
            pool(spec("calculator", a=1, b=2), spec("search"), spec("magic")),
            base_dir=folder,
            env={},
        )

    assert len(caught.value.problems) == 4


def test_a_python_tool_without_a_sandbox_is_refused_unless_the_pool_consents(
    folder: Path, monkeypatch
) -> None:
    def nothing_works(unsafe: bool = False) -> Tier:
        return Tier(UNSAFE, "risk") if unsafe else Tier(REFUSED, "no sandbox; do this")

    monkeypatch.setattr(registry, "detect_tier", nothing_works)
    consenting = ToolSpec("python", "python", unsafe=True)

    with pytest.raises(ToolConfigError, match="tool 'python': no sandbox; do this"):
        build_tools(pool(spec("python")), base_dir=folder, env={})
    tools = build_tools(pool(consenting), base_dir=folder, env={})
    assert tools["python"].tier == "unsafe"
