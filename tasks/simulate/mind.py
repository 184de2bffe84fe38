"""The luck of one model on one question: reproducible draws, and whether it manages a task."""

from __future__ import annotations

import hashlib
import math
from random import Random
from statistics import NormalDist

QUESTION_LUCK = 1.3
"""Standard deviation, in logits, of how hard a question is for every model alike."""
OWN_LUCK = 0.6
"""The same of how hard it is for one model, whatever its tool."""
_NORMAL = NormalDist()


class Mind:
    """Draws that depend on (seed, model, question, sampling seed) and a purpose, on nothing else.

    Two tools of one model share the draws of its understanding: what it misreads without a tool it
    misreads with one.
    """

    def __init__(self, seed: int, model: str, question: str, sample: int = 0) -> None:
        text = question.encode("utf-8", "surrogatepass")
        shared = hashlib.blake2b(text, digest_size=16, key=str(seed).encode()[:64]).digest()
        own = f"{model}\x1f{sample}".encode("utf-8", "surrogatepass")
        self._key = hashlib.blake2b(shared + own, digest_size=16).digest()
        self._shared = shared
        self._luck = OWN_LUCK * self.normal("luck") + QUESTION_LUCK * _quantile(shared)

    def uniform(self, purpose: str) -> float:
        """A number in [0, 1), always the same for a purpose."""
        digest = hashlib.blake2b(self._key + purpose.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def normal(self, purpose: str) -> float:
        """A standard normal number, always the same for a purpose."""
        return _NORMAL.inv_cdf(min(max(self.uniform(purpose), 1e-9), 1 - 1e-9))

    def rng(self, purpose: str) -> Random:
        """A generator for draws in numbers."""
        return Random(int(self.uniform(purpose) * 2**53))

    def manages(self, skill: float, load: float, purpose: str) -> bool:
        """Whether something of difficulty `load` (logits) works out.

        The chance is sigmoid(logit(skill) - load - luck): `skill` where load and luck are zero, 0
        and 1 at the ends whatever the luck, and over many questions drawn towards one half.
        """
        if skill <= 0.0 or skill >= 1.0:
            return skill >= 1.0
        strength = math.log(skill / (1.0 - skill)) - load - self._luck
        return self.uniform(purpose) < 1.0 / (1.0 + math.exp(-strength))


def _quantile(digest: bytes) -> float:
    share = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 2)
    return _NORMAL.inv_cdf(share)
