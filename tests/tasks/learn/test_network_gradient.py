"""The network by hand is the network: what it says, and every derivative of it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.policies.network import PolicyNetwork, Situation
from tasks.learn.network_gradient import ByHand, flatten
from tasks.learn.packed_steps import Packed, groups, pack
from tests.tasks.learn.small_environment import SMALL, small_environment

ROWS = 20


def made(seed: int, count: int) -> tuple[PolicyNetwork, Situation, torch.Tensor, torch.Tensor]:
    """A network with weights of some size, `count` random steps in order of their episodes.

    An episode is a question here; returned are its pairs and each step's episode, too.
    """
    environment = small_environment(pairs=4, calls=3, without=(4, 1))
    torch.manual_seed(seed)
    network = PolicyNetwork(SMALL).double()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    drawn = torch.randint(ROWS, (count,)).sort()[0]
    episodes, owner = drawn.unique(return_inverse=True)
    states = torch.randint(len(environment.lattice), (count,))
    log_price = torch.rand(ROWS)[drawn] - 3.0
    situation = environment.situation(drawn, states, log_price)
    whole = Situation(*(part.double() if part.is_floating_point() else part for part in situation))
    pairs = environment.situation(episodes, torch.zeros_like(episodes), log_price[:1]).pairs
    return network, whole, pairs.double(), owner


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_packed_steps_are_scored_like_dense_ones(seed: int, count: int) -> None:
    network, situation, pairs, owner = made(seed, count)
    hand, packed = ByHand(network), pack(situation, pairs, owner)
    with torch.no_grad():
        wanted = network(situation)
        found = hand.score(packed, hand.read(pairs).pairs)

    assert torch.equal(found.log_policy.isinf(), wanted.log_policy[:, 0].isinf())
    assert torch.allclose(found.log_policy.exp(), wanted.log_policy[:, 0].exp(), atol=1e-12)
    assert torch.allclose(found.value, wanted.value[:, 0], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_every_derivative_is_that_of_automatic_differentiation(seed: int, count: int) -> None:
    """Of a random linear function of logits and values, in float64."""
    network, situation, pairs, owner = made(seed, count)
    packed = pack(situation, pairs, owner)
    scores = network(situation)
    after_log = torch.randn(scores.log_policy[:, 0].shape, dtype=torch.float64)
    after_value = torch.randn(count, dtype=torch.float64)
    allowed = scores.log_policy[:, 0].isfinite()
    log_policy = scores.log_policy[:, 0].masked_fill(~allowed, 0.0)
    loss = (log_policy * after_log).sum() + (scores.value[:, 0] * after_value).sum()
    wanted = torch.autograd.grad(loss, list(network.parameters()))

    flat = flatten(network)
    assert flat.grad is not None
    flat.grad.fill_(77.0)  # Whatever stood there is written over.
    hand = ByHand(network)
    with torch.no_grad():
        read = hand.read(pairs)
        scored = hand.score(packed, read.pairs)
        outer = after_log.masked_fill(~allowed, 0.0)
        logits = outer - scored.log_policy.exp() * outer.sum(dim=1, keepdim=True)
        hand.gradient(packed, read, scored, logits, after_value)

    for (name, weight), slope in zip(network.named_parameters(), wanted, strict=True):
        assert torch.allclose(weight.grad, slope, rtol=1e-9, atol=1e-9), name
    assert any(float(slope.abs().max()) > 1e-3 for slope in wanted)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), parts=st.integers(1, 6))
def test_groups_are_what_packing_their_steps_alone_gives(seed: int, count: int, parts: int) -> None:
    _, situation, pairs, owner = made(seed, count)
    parts = min(parts, len(pairs))
    reached = 0
    for own, group in groups(pack(situation, pairs, owner), owner, parts):
        first, last = int(owner[own][0]), int(owner[own][-1])
        alone = pack(
            Situation(*(part[own] for part in situation)),
            pairs[first : last + 1],
            owner[own] - first,
        )
        for name, tensor in alone._asdict().items():
            assert torch.equal(getattr(group, name), tensor), name
        assert own.start == reached
        reached = own.stop
    assert reached == count


def test_a_call_that_may_not_be_made_is_not_packed() -> None:
    _, situation, pairs, owner = made(3, 40)
    packed = pack(situation, pairs, owner)
    listed = torch.zeros_like(situation.legal[:, 0])
    listed[packed.step, packed.pair] = True

    assert torch.equal(listed, situation.legal[:, 0])
    assert len(packed.step) == int(listed.sum()) < listed.numel()
    assert len(packed.called_step) == int(situation.members.sum())


def test_weights_in_one_vector_are_the_networks_own() -> None:
    torch.manual_seed(0)
    network = PolicyNetwork(SMALL)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    flat = flatten(network)

    for name, weight in network.named_parameters():
        assert torch.equal(weight, before[name]), name
    assert len(flat) == sum(weight.numel() for weight in before.values())
    with torch.no_grad():
        flat += 1.0
    assert flat.grad is not None
    flat.grad += 2.0
    for name, weight in network.named_parameters():
        assert torch.equal(weight, before[name] + 1.0), name
        assert (weight.grad == 2.0).all(), name


@pytest.mark.parametrize("field", ["told", "between", "priced"])
def test_what_is_packed_matters(field: str) -> None:
    """None of it may be left out of the score without a test noticing."""
    network, situation, pairs, owner = made(5, 20)
    packed: Packed = pack(situation, pairs, owner)
    hand = ByHand(network)
    with torch.no_grad():
        read = hand.read(pairs).pairs
        one = hand.score(packed, read).log_policy.exp()
        other = hand.score(packed._replace(**{field: getattr(packed, field) + 1.0}), read)
    assert not torch.allclose(one, other.log_policy.exp())
