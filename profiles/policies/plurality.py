"""Plain votes as a judge: every called pair has one, the answer with most of them leads.

The baseline that a learnt aggregator is held against; it can take its place wherever answers are
judged. Ties go to the answer whose best supporter is expected to be right most often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiles.policies.evidence import ANSWER_FEATURES

if TYPE_CHECKING:
    from torch import Tensor

    from profiles.policies.aggregator import Posterior
    from profiles.policies.evidence import Evidence

_BEST = ANSWER_FEATURES.index("prior_best_supporter")
_TIE = 1e-3
"""Weight of the tie-breaker, which lies in (0, 1): far less than a vote."""


class Plurality:
    """Share of the votes as the probability of an answer; calls without a key vote for "none"."""

    def posterior(self, evidence: Evidence, components: Tensor) -> Posterior:
        """Shares of the votes, and which answer leads.

        Args:
            evidence: of B sets of called pairs.
            components: not looked at.
        """
        import torch

        from profiles.policies.aggregator import Posterior

        del components
        calls = evidence.calls.clamp(min=1)[:, None]
        votes = torch.where(evidence.leads, evidence.supporters, 0.0)
        rank = torch.where(
            evidence.leads, votes + _TIE * torch.sigmoid(evidence.answers[:, :, _BEST]), 0.0
        )
        order = rank.argsort(dim=1, descending=True, stable=True)
        shares = votes / calls
        sorted_shares = shares.gather(1, order)
        second = (
            sorted_shares[:, 1] if shares.shape[1] > 1 else torch.zeros_like(sorted_shares[:, 0])
        )
        return Posterior(shares, 1.0 - shares.sum(dim=1), order[:, 0], sorted_shares[:, 0], second)
