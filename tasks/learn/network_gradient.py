"""The policy network over packed steps, forwards and backwards by hand.

The same function of the same weights as `profiles.policies.network.PolicyNetwork`, without dropout.
With a few hundred steps in a minibatch most of the time of automatic differentiation goes into its
bookkeeping, hundreds of small operations; worked out by hand, the derivative is a few dozen, and
the gradients of all weights stand in one vector. Tests hold it against automatic differentiation
of the network.

With s the state, x_p what is read of pair p, u_p what is read of it beside the called ones:

    s = W₂·φ(W₁·told + b₁) + b₂ + C·Σ_called x,      x = V₂·φ(V₁·pair + c₁) + c₂,
    z_p = w·φ(s + x_p + B·u_p) + b − k·softplus(θ)·price·cost_p,
    z_answer = w_a·φ(s) + b_a,                       V = w_v·φ(s) + b_v.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from profiles.policies.network import PolicyNetwork
    from tasks.learn.packed_steps import Packed


def flatten(network: PolicyNetwork) -> torch.nn.Parameter:
    """All weights in one vector, which the network's own become views of; gradients alike."""
    weights = list(network.parameters())
    flat = torch.nn.Parameter(torch.cat([weight.detach().flatten() for weight in weights]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for weight in weights:
        own = slice(start, start + weight.numel())
        weight.data = flat.data[own].view_as(weight)
        weight.grad = flat.grad[own].view_as(weight)
        start = own.stop
    return flat


class Read(NamedTuple):
    """What the network made of every pair of every episode, and on the way there."""

    features: Tensor
    before: Tensor
    active: Tensor
    pairs: Tensor
    """(E · P, hidden)."""


class Scored(NamedTuple):
    """What the network made of N steps, and on the way there."""

    log_policy: Tensor
    """(N, P + 1); -inf where an action is not allowed."""
    value: Tensor
    """(N,)."""
    state_before: Tensor
    state_active: Tensor
    called: Tensor
    """(N, hidden) Σ of what was read of the called pairs."""
    state: Tensor
    active: Tensor
    mixed: Tensor
    """(M, hidden)."""
    mixed_active: Tensor


class ByHand:
    """A network's function and derivative.

    Args:
        network: its weights are read anew at every use.
    """

    def __init__(self, network: PolicyNetwork) -> None:
        self._pull = network.settings.price_pull
        self._theta: Tensor = network.pull
        self._state1, self._state2 = _layer(network.state[0]), _layer(network.state[-1])
        self._pair1, self._pair2 = _layer(network.pair[0]), _layer(network.pair[-1])
        self._called, self._between = network.called, network.between
        self._call = _layer(network.call)
        self._answer, self._critic = _layer(network.answer[-1]), _layer(network.critic[-1])

    def read(self, pairs: Tensor) -> Read:
        """Read (E, P, len(PAIR_FEATURES)) pairs."""
        features = pairs.flatten(0, 1)
        before = _linear(self._pair1, features)
        active = functional.gelu(before)
        return Read(features, before, active, _linear(self._pair2, active))

    def score(self, packed: Packed, read: Tensor) -> Scored:
        """Score every step.

        Args:
            packed: the steps.
            read: (E · P, hidden), see `Read`.
        """
        state_before = _linear(self._state1, packed.told)
        state_active = functional.gelu(state_before)
        state = _linear(self._state2, state_active)
        called = torch.zeros_like(state)
        called.index_add_(0, packed.called_step, read.index_select(0, packed.called_reading))
        state.addmm_(called, self._called.weight.T)
        mixed = state.index_select(0, packed.step)
        mixed += read.index_select(0, packed.reading)
        mixed.addmm_(packed.between, self._between.weight.T)
        mixed_active = functional.gelu(mixed)
        calls = mixed_active.mv(self._call.weight[0]).add_(self._call.bias)
        pull = self._pull * float(functional.softplus(self._theta))
        calls.sub_(packed.priced, alpha=pull)
        active = functional.gelu(state)
        answer = active.mv(self._answer.weight[0]).add_(self._answer.bias)
        count = packed.pairs.shape[1]
        logits = torch.full((len(state), count + 1), -torch.inf, dtype=state.dtype)
        logits.view(-1).index_copy_(0, packed.step * (count + 1) + packed.pair, calls)
        logits[:, count] = answer.masked_fill_(~packed.may_answer, -torch.inf)
        value = active.mv(self._critic.weight[0]).add_(self._critic.bias)
        return Scored(
            logits.log_softmax(dim=1), value, state_before, state_active, called, state, active,
            mixed, mixed_active,
        )  # fmt: skip

    def gradient(
        self, packed: Packed, read: Read, scored: Scored, logits: Tensor, value: Tensor
    ) -> None:
        """Write the gradient of a loss into `grad` of every weight.

        Args:
            packed: the steps.
            read: their pairs, read.
            scored: the steps, scored.
            logits: (N, P + 1) derivative of the loss after the logits of all actions.
            value: (N,) derivative of the loss after the value.
        """
        call = logits[packed.step, packed.pair]
        torch.dot(call, packed.priced, out=_grad(self._theta))
        _grad(self._theta).mul_(-self._pull * torch.sigmoid(self._theta))
        torch.mv(scored.mixed_active.T, call, out=_grad(self._call.weight)[0])
        torch.sum(call, 0, keepdim=True, out=_grad(self._call.bias))
        mixed = _through_gelu(torch.outer(call, self._call.weight[0]), scored.mixed)
        torch.mm(mixed.T, packed.between, out=_grad(self._between.weight))
        state = self._heads(scored, logits[:, -1], value)
        state.index_add_(0, packed.step, mixed)
        pairs = torch.zeros_like(read.pairs)
        pairs.index_add_(0, packed.reading, mixed)
        torch.mm(state.T, scored.called, out=_grad(self._called.weight))
        called = state.mm(self._called.weight)
        pairs.index_add_(0, packed.called_reading, called.index_select(0, packed.called_step))
        inner = _through_gelu(_back(self._state2, state, scored.state_active), scored.state_before)
        _back(self._state1, inner, packed.told, further=False)
        inner = _through_gelu(_back(self._pair2, pairs, read.active), read.before)
        _back(self._pair1, inner, read.features, further=False)

    def _heads(self, scored: Scored, answer: Tensor, value: Tensor) -> Tensor:
        """(N, hidden) derivative after the state of what answering and the critic make of it."""
        heads = torch.stack([answer, value], dim=1)
        weights = heads.T.mm(scored.active)
        bias = heads.sum(0)
        for number, layer in enumerate((self._answer, self._critic)):
            _grad(layer.weight).copy_(weights[number])
            _grad(layer.bias).copy_(bias[number])
        both = torch.cat([self._answer.weight, self._critic.weight])
        return _through_gelu(heads.mm(both), scored.state)


def _layer(module: torch.nn.Module) -> torch.nn.Linear:
    assert isinstance(module, torch.nn.Linear)
    return module


def _linear(layer: torch.nn.Linear, inputs: Tensor) -> Tensor:
    return torch.addmm(layer.bias, inputs, layer.weight.T)


def _back(
    layer: torch.nn.Linear, outputs: Tensor, inputs: Tensor, *, further: bool = True
) -> Tensor:
    """Write a linear layer's gradient; the derivative after its inputs where it goes further."""
    torch.mm(outputs.T, inputs, out=_grad(layer.weight))
    torch.sum(outputs, 0, out=_grad(layer.bias))
    return outputs.mm(layer.weight) if further else outputs


def _through_gelu(outputs: Tensor, inputs: Tensor) -> Tensor:
    result: Tensor = torch.ops.aten.gelu_backward(outputs, inputs)
    return result


def _grad(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad
