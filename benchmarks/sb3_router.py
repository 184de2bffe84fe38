"""Our environment and our network inside Stable-Baselines3's PPO.

The opponent gets everything that can be given to it: the same network with the same masks, the
same constants, and an environment that steps all episodes at once instead of one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from profiles.policies.network import NetworkSettings, PolicyNetwork, Situation
from tasks.learn.environment import Environment
from tasks.learn.ppo import PPOTraining
from tasks.learn.training import learning_rows


class Layout:
    """How a situation of one state lies in a flat observation.

    Args:
        environment: any of its situations is as long as every other.
    """

    def __init__(self, environment: Environment) -> None:
        rows = torch.zeros(1, dtype=torch.int64)
        example = environment.situation(rows, rows, torch.zeros(1))
        self._shapes = {name: tensor.shape[1:] for name, tensor in example._asdict().items()}
        self._flags = {n for n, tensor in example._asdict().items() if tensor.dtype == torch.bool}
        self._widths = [int(np.prod(shape)) for shape in self._shapes.values()]
        self.width = sum(self._widths)

    def pack(self, situation: Situation) -> np.ndarray:
        """(B, width) float32."""
        parts = [tensor.reshape(len(tensor), -1).float() for tensor in situation]
        return torch.cat(parts, dim=1).numpy()

    def unpack(self, observation: torch.Tensor) -> Situation:
        """The situation of (B, width) observations."""
        parts = observation.split(self._widths, dim=1)
        return Situation(
            **{
                name: part.reshape(-1, *shape) > 0.5 if name in self._flags else
                part.reshape(-1, *shape)
                for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
            }
        )  # fmt: skip


class RecordedVecEnv(VecEnv):
    """Episodes over recorded answers, all stepped at once; an ended one begins anew."""

    def __init__(self, environment: Environment, training: PPOTraining, count: int) -> None:
        self.layout = Layout(environment)
        super().__init__(
            count,
            gymnasium.spaces.Box(-np.inf, np.inf, (self.layout.width,), np.float32),
            gymnasium.spaces.Discrete(environment.answer + 1),
        )
        self._environment = environment
        learn, _ = learning_rows(environment, training.validation, training.seed)
        self._learn = torch.from_numpy(learn)
        self._low, self._high = np.log(training.prices)
        self._generator = torch.Generator().manual_seed(training.seed)
        self._rows = torch.zeros(count, dtype=torch.int64)
        self._log_price = torch.zeros(count)
        self._states = torch.zeros(count, dtype=torch.int64)
        self._infos: list[dict[str, Any]] = [{} for _ in range(count)]

    def _begin(self, ended: torch.Tensor) -> None:
        number = int(ended.sum())
        drawn = torch.randint(len(self._learn), (number,), generator=self._generator)
        share = torch.rand(number, generator=self._generator)
        self._rows[ended] = self._learn[drawn]
        self._log_price[ended] = self._low + share * (self._high - self._low)
        self._states[ended] = 0

    def _observe(self) -> np.ndarray:
        situation = self._environment.situation(self._rows, self._states, self._log_price)
        return self.layout.pack(situation)

    def reset(self) -> np.ndarray:
        self._begin(torch.ones(self.num_envs, dtype=torch.bool))
        return self._observe()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = torch.from_numpy(actions)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        taken = self._environment.step(
            self._rows, self._states, self._actions, self._log_price.exp()
        )
        self._states = taken.state
        self._begin(taken.done)
        return self._observe(), taken.reward.numpy(), taken.done.numpy(), self._infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        del indices
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        del indices
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **named: Any) -> Any:
        del indices
        return [getattr(self, method_name)(*args, **named)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        del wrapper_class, indices
        return [False] * self.num_envs


class RecordedEnv(gymnasium.Env):
    """One episode over recorded answers, as an environment is written for a single learner."""

    def __init__(self, environment: Environment, training: PPOTraining) -> None:
        every = torch.arange(len(environment.recorded))
        self.layout = Layout(environment)
        self.observation_space = gymnasium.spaces.Box(
            -np.inf, np.inf, (self.layout.width,), np.float32
        )
        self.action_space = gymnasium.spaces.Discrete(environment.answer + 1)
        self._environment = environment
        self._learn, _ = learning_rows(environment, training.validation, training.seed)
        self._prices = np.log(training.prices)
        whole = environment.everywhere(every, torch.zeros(len(every)))
        self._whole = [tensor.numpy() for tensor in whole]
        self._rewards = environment.answer_reward.numpy()
        self._costs = environment.costs.numpy()

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        del options
        super().reset(seed=seed)
        self._row = int(self.np_random.choice(self._learn))
        self._log_price = self.np_random.uniform(*self._prices)
        self._state = 0
        return self._observe(), {}

    def _observe(self) -> np.ndarray:
        states, components, pairs, between, members, legal, may, cost, _ = self._whole
        row, state = self._row, self._state
        parts = (
            states[row, state], components[row], pairs[row].ravel(), between[state].ravel(),
            members[state], legal[row, state], may[row, state, None], cost[row],
            (self._log_price,),
        )  # fmt: skip
        return np.concatenate(parts, dtype=np.float32)

    def step(self, action: Any) -> Any:
        if action == self._environment.answer:
            reward, done = self._rewards[self._row, self._state], True
        else:
            reward, done = -np.exp(self._log_price) * self._costs[self._row, action], False
            self._state = self._environment.lattice.successor[self._state, action]
        return self._observe(), float(reward), done, False, {}


class RouterPolicy(ActorCriticPolicy):
    """Our network as a policy of Stable-Baselines3."""

    def __init__(self, *args: Any, shape: NetworkSettings, layout: Layout, **named: Any) -> None:
        self._shape, self._layout = shape, layout
        super().__init__(*args, **named)

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        self.router = PolicyNetwork(self._shape)
        self.optimizer = self.optimizer_class(
            self.router.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )

    def _scored(self, obs: torch.Tensor) -> tuple[Any, torch.Tensor]:
        scores = self.router(self._layout.unpack(obs))
        return self.action_dist.proba_distribution(scores.log_policy[:, 0]), scores.value

    def forward(self, obs: torch.Tensor, deterministic: bool = False) -> Any:
        distribution, values = self._scored(obs)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions)

    def evaluate_actions(self, obs: torch.Tensor, actions: torch.Tensor) -> Any:
        distribution, values = self._scored(obs)
        return values, distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: torch.Tensor) -> Any:
        return self._scored(obs)[0]

    def predict_values(self, obs: torch.Tensor) -> torch.Tensor:
        return self._scored(obs)[1]


class Between(BaseCallback):
    """Calls back between two iterations; training ends where that says so.

    Args:
        training: entropy bonus and learning rate fall like ours.
        between: given the network and the iterations done; False ends the training.
    """

    def __init__(
        self, training: PPOTraining, between: Callable[[PolicyNetwork, int], bool]
    ) -> None:
        super().__init__()
        self._training = training
        self._between = between
        self._going = True
        self.done = 0

    def _on_rollout_start(self) -> None:
        left = max(0.0, 1 - self.done / self._training.iterations)
        self.model.ent_coef = self._training.entropy * left
        self.model.lr_schedule = lambda _share: self._training.learning_rate * left
        if self.done:
            self._going = self._between(self.model.policy.router, self.done)
        self.done += 1

    def _on_step(self) -> bool:
        return self._going

    def _on_training_end(self) -> None:
        if self._going:
            self._between(self.model.policy.router, self.done)


def baseline(
    environment: Environment, training: PPOTraining, *, singly: int = 0
) -> tuple[stable_baselines3.PPO, int]:
    """Their PPO with our constants, and the steps of one of its iterations.

    An iteration takes about the steps of one of ours, in as many minibatches.

    Args:
        environment: of the training questions.
        training: constants.
        singly: so many environments of one episode each, stepped one after the other, as their
            documentation sets them up; 0 steps half as many episodes as ours all at once.
    """
    horizon = environment.lattice.max_calls + 1
    steps = horizon * (training.episodes // 2)
    vectorised: VecEnv
    if singly:
        vectorised = DummyVecEnv([lambda: RecordedEnv(environment, training)] * singly)
        layout, per_environment = Layout(environment), steps // singly
    else:
        vectorised = RecordedVecEnv(environment, training, training.episodes // 2)
        layout, per_environment = vectorised.layout, horizon
    model = stable_baselines3.PPO(
        RouterPolicy,
        vectorised,
        learning_rate=training.learning_rate,
        n_steps=per_environment,
        batch_size=training.batch,
        n_epochs=training.epochs,
        gamma=1.0,
        gae_lambda=training.gae,
        clip_range=training.clip,
        clip_range_vf=training.value_clip,
        ent_coef=training.entropy,
        # Theirs is the mean squared error, ours half of it.
        vf_coef=training.value_weight / 2,
        max_grad_norm=training.gradient_norm,
        # They stop at one and a half times this.
        target_kl=training.kl_limit / 1.5,
        policy_kwargs={"shape": training.network, "layout": layout},
        device="cpu",
        seed=training.seed,
    )
    return model, per_environment * vectorised.num_envs
