"""Constrained decoding: after `<search>` only names of legal pairs can be written.

A `Grammar` knows the tokens of every name as a trie and which tokens would run over the end of a
tag. A `Walk` follows one sequence token by token and says what may come next; replayed over a
finished sequence it says what could have come, which is what its log-probabilities are taken
under. Three promises:

* what follows `<search>` is ` model@@tool:` of a legal pair, nothing else;
* where no pair is legal, `<search>` cannot be completed;
* `<search>`, `</search>` and `</answer>` end where a token ends, so nothing hides behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tasks.learn.language_policy.libraries import LanguagePolicyError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

SEARCH, ENDS = "<search>", ("</search>", "</answer>")
_TAGS = (SEARCH, *ENDS)
_NOWHERE = (0,) * len(_TAGS)


class Constraint(NamedTuple):
    """What may come next: only `tokens`, or anything but them."""

    tokens: tuple[int, ...]
    only: bool

    @property
    def forced(self) -> bool:
        """Whether there is no choice."""
        return self.only and len(self.tokens) == 1

    def permits(self, token: int) -> bool:
        """Whether a token may come next."""
        return (token in self.tokens) is self.only


@dataclass(slots=True, eq=False)
class _Node:
    """A place inside names."""

    pairs: set[int] = field(default_factory=set)
    """Pairs whose names lead through here."""
    next: dict[int, _Node] = field(default_factory=dict)


class Grammar:
    """Names of pairs in the tokens of one tokenizer.

    Args:
        tokenizer: a byte-level one, such as Qwen's: texts of tokens add up to the text.
        names: pair ids, in pair order.

    Raises:
        LanguagePolicyError: a name cannot be written in these tokens, or begins another name.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.pieces: list[str] = tokenizer.batch_decode(
            [[token] for token in range(len(tokenizer))],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
        self.root = _Node()
        spelled = [f" {name}:" for name in names]
        _refuse_ambiguous(spelled)
        for number, text in enumerate(spelled):
            tokens = tokenizer.encode(text, add_special_tokens=False)
            if "".join(self.pieces[token] for token in tokens) != text:
                msg = f"the tokenizer cannot write {text!r} token by token; use a byte-level one"
                raise LanguagePolicyError(msg)
            node = self.root
            for token in tokens:
                node.pairs.add(number)
                node = node.next.setdefault(token, _Node())
            node.pairs.add(number)
        # A tag can only be ended by one of these few.
        self._closing = [token for token, piece in enumerate(self.pieces) if ">" in piece]
        self.forbidden = cache(self._forbidden)

    def _forbidden(self, matched: tuple[int, ...], searchable: bool) -> tuple[int, ...]:
        """Tokens that would run over the end of a tag, or end `<search>` where it must not be."""
        return tuple(
            token
            for token in self._closing
            if any(
                _overruns(tag[:done] + self.pieces[token], tag, tag != SEARCH or searchable)
                for tag, done in zip(_TAGS, matched, strict=True)
            )
        )


class Walk:
    """Follows one sequence.

    Args:
        grammar: of the names.
        legal: pairs that may be called.
    """

    __slots__ = ("_at", "_grammar", "_legal", "_matched", "ended")

    def __init__(self, grammar: Grammar, legal: Iterable[int]) -> None:
        self._grammar = grammar
        self._legal = frozenset(legal)
        self._matched = _NOWHERE
        self._at: _Node | None = None
        self.ended = False
        """Whether `</search>` or `</answer>` was the last thing written."""

    def constraint(self) -> Constraint | None:
        """What may come next; None where anything may."""
        if self._at is not None:
            tokens = [t for t, node in self._at.next.items() if node.pairs & self._legal]
            return Constraint(tuple(tokens), only=True)
        tokens_out = self._grammar.forbidden(self._matched, bool(self._legal))
        return Constraint(tokens_out, only=False) if tokens_out else None

    def advance(self, token: int) -> None:
        """Take the token that came next."""
        if self._at is not None:
            node = self._at.next.get(token)
            # A token outside the trie can only come from a sequence that was not sampled here.
            self._at = node if node is not None and node.next else None
            self._matched = _NOWHERE
            return
        piece = self._grammar.pieces[token] if token < len(self._grammar.pieces) else ""
        if self._matched == _NOWHERE and "<" not in piece:
            self.ended = False
            return
        written = [tag[:done] + piece for tag, done in zip(_TAGS, self._matched, strict=True)]
        self.ended = any(w.endswith(t) for w, t in zip(written[1:], ENDS, strict=True))
        if written[0].endswith(SEARCH):
            self._at = self._grammar.root
        self._matched = tuple(_begun(w, t) for w, t in zip(written, _TAGS, strict=True))


class PairNames:
    """A `LogitsProcessor` of transformers: one walk a row of a batch that is generated.

    Args:
        grammar: of the names.
        legal: pairs that each row may call.
        start: columns of the prompt, which is not looked at.
    """

    def __init__(self, grammar: Grammar, legal: Sequence[Iterable[int]], start: int) -> None:
        self.walks = [Walk(grammar, pairs) for pairs in legal]
        self._seen = start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(B, V) scores, −inf for what may not come next."""
        self.follow(input_ids)
        for row, walk in enumerate(self.walks):
            constraint = walk.constraint()
            if constraint is not None:
                scores[row] = constrained(scores[row], constraint)
        return scores

    def follow(self, input_ids: Tensor) -> None:
        """Take the tokens that came since the last time."""
        for column in range(self._seen, input_ids.shape[1]):
            for walk, token in zip(self.walks, input_ids[:, column].tolist(), strict=True):
                walk.advance(token)
        self._seen = input_ids.shape[1]


class TurnEnds:
    """A `StoppingCriteria` of transformers: a row stops at `</search>` and `</answer>`.

    Args:
        names: follows the same batch.
    """

    def __init__(self, names: PairNames) -> None:
        self._names = names

    def __call__(self, input_ids: Tensor, _scores: object, **_kwargs: object) -> Tensor:
        """(B,) bool, rows that are done."""
        self._names.follow(input_ids)
        return input_ids.new_tensor([walk.ended for walk in self._names.walks]).bool()


def constrained(scores: Tensor, constraint: Constraint) -> Tensor:
    """(V,) scores, −inf for what may not come next."""
    tokens = list(constraint.tokens)
    if not constraint.only:
        closed = scores.clone()
        closed[tokens] = float("-inf")
        return closed
    kept = scores.new_full(scores.shape, float("-inf"))
    kept[tokens] = scores[tokens]
    return kept


def _overruns(written: str, tag: str, may_end: bool) -> bool:
    """Whether a tag is in a text but not at its end, or at its end where it may not be."""
    place = written.find(tag)
    return place >= 0 and not (may_end and place + len(tag) == len(written))


def _begun(written: str, tag: str) -> int:
    """How many characters of a tag a text ends with, fewer than all."""
    place = written.rfind("<")
    rest = written[place:] if place >= 0 else ""
    return len(rest) if rest and len(rest) < len(tag) and tag.startswith(rest) else 0


def _refuse_ambiguous(spelled: Sequence[str]) -> None:
    ordered = sorted(spelled)
    for shorter, longer in pairwise(ordered):
        if longer.startswith(shorter):
            msg = (
                f"the pairs {shorter.strip(' :')!r} and {longer.strip(' :')!r} cannot be told"
                " apart in a call: rename one of their tools"
            )
            raise LanguagePolicyError(msg)
