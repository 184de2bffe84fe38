"""Policies of known worth, the questions that show it, and a registry in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from profiles.policies.policy import SINGLE
from profiles.policies.policy_file import PolicyFileError
from tasks.learn.learning_set import HeldOut
from tasks.registry.versions import PolicyNotFoundError, PolicyVersion
from tests.profiles.made_profiles import corners
from tests.profiles.policies.made_policies import made_policy

N = 200
NOW = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)
POOR, FAIR, GOOD, TWIN = 1, 2, 3, 4
"""Versions, by what they are worth."""


def always(profile, pair, seed):
    """A policy that calls one pair and answers."""
    made = made_policy(
        seed,
        pairs=tuple(one.pair_id for one in profile.pairs),
        width=profile.clusters.centroids.shape[1],
        profile_id=profile.profile_id,
        pool_fingerprint=profile.pool_fingerprint,
    )
    points = tuple(replace(one, strategy=SINGLE) for one in made.points)
    return replace(made, points=points, accuracy=np.eye(3)[pair], costs=np.array([0.5, 0.5, 0.5]))


def held_out_of(profile):
    """Pair 0 is right on 40 % of the questions, pair 1 on 60 %, pair 2 on 90 %."""
    rng = np.random.default_rng(0)
    scores = (rng.random((N, 1)) < np.array([0.4, 0.6, 0.9])).astype(float)
    embeddings = corners(np.arange(N) % 4, profile.clusters.centroids.shape[1])
    return HeldOut(
        tuple(f"held {number}" for number in range(N)),
        tuple("ab"[number % 2] for number in range(N)),
        tuple(f"question {number}" for number in range(N)),
        embeddings,
        scores,
        np.full(scores.shape, 0.002),
        np.where(scores > 0, 0, np.arange(1, 4)),
        profile.clusters.assign(embeddings).distances,
    )


class Shelf:
    """A registry in memory, with what `tasks.registry.registry.PolicyRegistry` promises."""

    def __init__(self, policies):
        self.policies = policies
        self.aliases, self.notes, self.damaged = {}, {}, set()

    def versions(self):
        return [self._version(number) for number in range(1, len(self.policies) + 1)]

    def _version(self, number):
        policy = self.policies[number - 1]
        aliases = tuple(sorted(one for one, at in self.aliases.items() if at == number))
        tags = self.notes.get(number, {})
        return PolicyVersion(
            "atlas-policy", number, policy.policy_id, "", policy.profile_id,
            policy.pool_fingerprint, aliases, NOW, dict(tags),
        )  # fmt: skip

    def resolve(self, reference):
        for one in self.versions():
            if reference in (*one.aliases, str(one.version), one.policy_id):
                return one
        raise PolicyNotFoundError(f"There is no policy {reference!r}.")

    def fetch(self, version, _root):
        if version.version in self.damaged:
            raise PolicyFileError("the files of the policy are damaged")
        return self.policies[version.version - 1]

    def set_alias(self, alias, version):
        self.aliases[alias] = version

    def annotate(self, version, tags):
        self.notes.setdefault(version, {}).update(tags)
