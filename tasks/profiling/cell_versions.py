"""What a cell is: a query, a pair, and the versions of everything that made the result.

=============  ==============================================================================
version        changes with
=============  ==============================================================================
prompt         the instructions that the pair's own tool gives: editing `python.txt` (or the
               `prompt:` of one tool of the pool) touches the pairs of that tool and no other
model          provider, name, endpoint, parameters, `max_output_tokens` and the pool's
               `revision:`; of a recorded model also the content of its table
tool           kind, parameters, the pool's `version:`, the tool's own version constant, the
               limits of the tool loop; of a search tool also the content of its corpus
grader         the grader's version constant; a judge's also by its prompt and model
=============  ==============================================================================

**Prices are no part of a cell**: what tokens cost today is computed from the tokens that were
counted then (`tasks.profiling.recost`). Neither are concurrency, rate limits, timeouts or
descriptions. The grader stands apart from the other three: an outcome whose grader alone has
changed keeps its answer, and is graded again without asking its pair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from profiles.fingerprint import canonical_json
from profiles.prompts import text_version, tool_prompt
from tasks.batch.equip import JUDGE, judge_of
from tasks.query import content_hash

if TYPE_CHECKING:
    from profiles.pool import ModelSpec, Pair, Pool, ToolSpec
    from tasks.grade.base import Reference
    from tasks.query import Query

NO_GRADER = "none"
"""Version of the grader of a query that has no reference."""
NOT_ASKED = "replayed"
"""Prompt version of a recorded model: nobody is asked, so no instruction matters."""


class CellVersions(NamedTuple):
    """Versions of what made one outcome, each a short word or hash."""

    prompt: str
    model: str
    tool: str
    grader: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits over all four."""
        return _short(list(self), 16)


def cell_versions(pool: Pool, pair: Pair, grader: str | None) -> CellVersions:
    """The versions that an outcome of this pair, graded by this grader, has today.

    Args:
        pool: where the pair is specified.
        pair: one of its pairs.
        grader: name of the grader; None where there is nothing to grade by.

    Raises:
        KeyError: the pool has no such model or tool.
    """
    return PoolVersions(pool).of(pair, grader)


class PoolVersions:
    """The versions of one pool, each computed once: corpora and tables are hashed once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._base = Path(pool.source).parent if pool.source else Path()
        self._models: dict[str, str] = {}
        self._tools: dict[str, str] = {}
        self._graders: dict[str | None, str] = {}

    def of(self, pair: Pair, grader: str | None) -> CellVersions:
        """The versions of an outcome of this pair, graded by this grader."""
        return CellVersions(
            self.prompt(pair), self.model(pair.model), self.tool(pair.tool), self.grader(grader)
        )

    def prompt(self, pair: Pair) -> str:
        """Version of the instructions the pair is given."""
        if self._pool.models[pair.model].provider == "recorded":
            return NOT_ASKED
        return text_version(tool_prompt(self._pool.tools[pair.tool]))

    def model(self, key: str) -> str:
        """Version of a model of the pool."""
        if key not in self._models:
            self._models[key] = _short(_model(self._pool.models[key], self._base))
        return self._models[key]

    def tool(self, key: str) -> str:
        """Version of a tool of the pool."""
        if key not in self._tools:
            self._tools[key] = _short(_tool(self._pool.tools[key], self._base))
        return self._tools[key]

    def grader(self, name: str | None) -> str:
        """Version of a grader, with all that its verdicts depend on."""
        if name not in self._graders:
            self._graders[name] = self._grader(name)
        return self._graders[name]

    def _grader(self, name: str | None) -> str:
        from tasks.grade.graders import VERSIONS

        if name is None:
            return NO_GRADER
        version = VERSIONS.get(name, f"unknown:{name}")
        if name != "judge":
            return version
        from tasks.grade.judge import judge_template

        judge = judge_of(self._pool)
        model = None if judge is None else self.model(judge)
        return f"{version}+{_short([text_version(judge_template()), model])}"

    def price(self, pair: Pair) -> str:
        """Version of what the pair's calls cost; no part of a cell."""
        spec, tool = self._pool.models[pair.model], self._pool.tools[pair.tool]
        if spec.provider == "recorded":
            return NOT_ASKED
        prices = spec.prices
        sums = (prices.input_usd, prices.output_usd, prices.cached_input_usd)
        amounts = [*sums, tool.price_per_call_usd]
        # 1.0 and 1.00 are one price.
        return _short([None if one is None else format(one.normalize(), "f") for one in amounts])


def query_version(query: Query) -> str:
    """Version of what is asked: a file may keep a question's id and change its text."""
    return content_hash(query.prompt, query.context)[:12]


def reference_version(reference: Reference | None) -> str:
    """Version of the gold answer with its grader's name; `none` without one."""
    return NO_GRADER if reference is None else _short([reference.grader, reference.value])


def cell_columns(versions: PoolVersions, query: Query, pair: Pair) -> dict[str, str]:
    """The columns of `outcomes` that say which cell a row is."""
    grader = None if query.reference is None else query.reference.grader
    made = versions.of(pair, grader)
    asked, gold = query_version(query), reference_version(query.reference)
    return {
        "query_version": asked,
        "reference_version": gold,
        "prompt_version": made.prompt,
        "model_version": made.model,
        "tool_version": made.tool,
        "grader_version": made.grader,
        "prices_version": versions.price(pair),
        "cell_key": _short([query.query_id, asked, gold, pair.pair_id, made.key], 16),
    }


def _model(spec: ModelSpec, base: Path) -> dict[str, Any]:
    parameters = {key: value for key, value in spec.parameters.items() if key != JUDGE}
    content: dict[str, Any] = {
        "provider": spec.provider,
        "name": spec.name,
        "endpoint": spec.endpoint,
        "parameters": parameters,
        "max_output_tokens": spec.limits.max_output_tokens,
        "revision": spec.revision,
    }
    if spec.provider == "recorded":
        content["table"] = _file_sha(base, parameters.get("table"))
    return content


def _tool(spec: ToolSpec, base: Path) -> dict[str, Any]:
    from tasks.execute import MAX_ROUNDS, TOOL_OUTPUT_LIMIT
    from tasks.tools.registry import VERSIONS

    content: dict[str, Any] = {
        "kind": spec.kind,
        "constant": VERSIONS.get(spec.kind, ""),
        "version": spec.version,
        "parameters": dict(spec.parameters),
        "unsafe": spec.unsafe,
    }
    if spec.kind not in ("none", "recorded"):
        content["loop"] = [MAX_ROUNDS, TOOL_OUTPUT_LIMIT]
    if spec.kind == "search" and spec.parameters.get("corpus"):
        content["corpus"] = _corpus_sha(base / Path(str(spec.parameters["corpus"])).expanduser())
    return content


def _corpus_sha(folder: Path) -> str | None:
    from tasks.tools.corpus import CorpusError, corpus_fingerprint

    try:
        return corpus_fingerprint(folder)
    except CorpusError:
        # Building the tool says what is wrong with the folder, before anything is asked.
        return None


def _file_sha(base: Path, name: object) -> str | None:
    if not isinstance(name, str):
        return None
    path = base / Path(name).expanduser()
    try:
        found = path.stat()
    except OSError:
        return None
    return _hashed(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=256)
def _hashed(path: Path, _size: int, _modified_ns: int) -> str:
    from warehouse.commits import hash_file

    return hash_file(path)


def _short(value: Mapping[str, Any] | list[Any], digits: int = 12) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]
