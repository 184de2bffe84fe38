"""What a language policy reads before it writes: rules, pool, question.

The blocks stand in the order of the paper's prompt (ATLAS, figure 6), in our words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.learn.language_policy.libraries import LanguagePolicyError

if TYPE_CHECKING:
    from profiles.pool import Pair, Pool

_LAYOUT = """\
Work out the answer to the question at the end. Begin with a thought inside <think>...</think>, \
and think again whenever new information has come in: say what is still missing, and which model \
with which tool can supply it. Ask for it inside <search>...</search>.

HOW TO CHOOSE
- Pick the cheapest pair that is likely to get this kind of question right.
- A second, different pair is worth its cost where you doubt the first answer: two that agree are \
right more often than one.
- A pair can be called once. You may make up to {calls}.

TOOLS
{tools}

MODELS
{models}

PAIRS THAT EXIST
{pairs}

FORM OF A CALL
<search> Model@@Tool: input </search>
One pair of the list above, spelled exactly so, then a colon, then what it is to work on. \
Example: <search> {example}: {example_input} </search>

BEFORE A CALL
Inside <think>, say what kind of problem this is, why you need help with it, and which pair gives \
the best help for its cost.

AFTER A CALL
The answer of the pair stands between <information> and </information>. Only it may be there: \
never write these tags yourself. Then think, and call another pair or finish.

TO FINISH
<answer> the answer alone, without explanation </answer>

You must start with <think>. Question: {question}
"""
_EXAMPLE_INPUT = "What is the capital of France?"


@dataclass(frozen=True, slots=True)
class PromptPool:
    """The pool as the prompt tells it; kept with the policy, which learnt these words.

    Attributes:
        pairs: pair ids, in pair order.
        models: one line a model, what it is good for.
        tools: one line a tool.
    """

    pairs: tuple[str, ...]
    models: Mapping[str, str]
    tools: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """For the policy's file."""
        return {
            "pairs": list(self.pairs),
            # Lists, for the order is part of what was learnt.
            "models": [list(item) for item in self.models.items()],
            "tools": [list(item) for item in self.tools.items()],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PromptPool:
        """The inverse of `as_json`."""
        return cls(tuple(content["pairs"]), dict(content["models"]), dict(content["tools"]))


def prompt_pool(pairs: Sequence[Pair], pool: Pool | None = None) -> PromptPool:
    """What the prompt says of some pairs, with the descriptions that a pool has of them.

    Args:
        pairs: in pair order.
        pool: where models and tools are described; None describes none.

    Raises:
        LanguagePolicyError: the pool lacks one of them.
    """
    models = dict.fromkeys(pair.model for pair in pairs)
    tools = dict.fromkeys(pair.tool for pair in pairs)
    missing = sorted({*models, *tools} - {*pool.models, *pool.tools}) if pool else []
    if pool and missing:
        msg = f"the pool {pool.name!r} describes no {missing[0]!r}, which was recorded; add it"
        raise LanguagePolicyError(msg)
    return PromptPool(
        tuple(pair.pair_id for pair in pairs),
        {key: _described(pool.models[key].description if pool else "") for key in models},
        {
            key: _described(
                pool.tools[key].description if pool else "", _PLAIN if key == "none" else ""
            )
            for key in tools
        },
    )


_PLAIN = "the model alone"


def _described(text: str, default: str = "") -> str:
    return " ".join(text.split()) or default


def write_prompt(pool: PromptPool, question: str, max_calls: int) -> str:
    """The prompt of one question."""
    calls = "one call" if max_calls == 1 else f"{max_calls} calls"
    return _LAYOUT.format(
        calls=calls,
        tools=_lines(pool.tools),
        models=_lines(pool.models),
        pairs="\n".join(f"- {name}" for name in pool.pairs),
        example=pool.pairs[0],
        example_input=_EXAMPLE_INPUT,
        question=question,
    )


def _lines(described: Mapping[str, str]) -> str:
    return "\n".join(f"- {key}: {text}" if text else f"- {key}" for key, text in described.items())
