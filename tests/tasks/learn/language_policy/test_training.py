"""The whole loop on a CPU: episodes, masks, constraints, learning, keeping, playing."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.learn.language_policy import prompt
from tasks.learn.language_policy.episode import Rules
from tasks.learn.language_policy.libraries import LanguagePolicyError, check_libraries
from tasks.learn.language_policy.pair_names import Grammar, PairNames
from tasks.learn.language_policy.prompt import prompt_pool
from tasks.learn.language_policy.settings import LanguageSettings
from tests.tasks.learn.language_policy.tiny import (
    PAIRS,
    RIGHT,
    save_taught_base,
    toy_questions,
)

pytestmark = [
    pytest.mark.long,
    # Where the trainer is used without `train_language_policy`, which keeps this to itself.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
    pytest.mark.skipif(
        importlib.util.find_spec("trl") is None,
        reason="the extra llm is not installed: pip install 'atlas-routing[llm]'",
    ),
]

SMALL = {"max_calls": 2, "max_response_tokens": 90, "microbatch": 16, "group": 8}


@pytest.fixture(scope="module", autouse=True)
def short_prompt():
    """The loop is the same with a short prompt, and ten times as fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt, "_LAYOUT", "Question: {question}\n")
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory, short_prompt):
    """A tiny model that keeps the format and calls any pair."""
    return save_taught_base(tmp_path_factory.mktemp("base"), steps=200)


@pytest.fixture(scope="module")
def trained(base):
    """All weights, with what was logged."""
    from tasks.learn.language_policy.train import train_language_policy

    logged: list[dict[str, float]] = []
    settings = LanguageSettings(
        base=str(base), steps=14, questions_a_step=4, questions_an_update=4,
        learning_rate=1e-3, kl=0.0, adapter_rank=0, **SMALL,
    )  # fmt: skip
    policy = train_language_policy(
        toy_questions(), settings, record=lambda metrics, _step: logged.append(dict(metrics))
    )
    return policy, logged


@pytest.fixture(scope="module")
def trainer(base, tmp_path_factory):
    """TRL's trainer with adapters, before it trains."""
    from datasets import Dataset
    from peft import LoraConfig

    from tasks.learn.language_policy.grpo import RecordedTrainer, trainer_arguments
    from tasks.learn.language_policy.libraries import without_known_warnings
    from tasks.learn.language_policy.policy_folder import load_base
    from tasks.learn.language_policy.rollout import Prompts

    settings = LanguageSettings(
        base=str(base), steps=2, questions_a_step=4, questions_an_update=2,
        temperature=1.3, **SMALL,
    )  # fmt: skip
    loaded = load_base(str(base), None)
    questions = toy_questions()
    rules = Rules(questions, Grammar(loaded.tokenizer, questions.names), loaded.tokenizer, settings)
    with without_known_warnings():
        return RecordedTrainer(
            rules,
            Prompts(rules, prompt_pool(PAIRS)),
            model=loaded.model,
            args=trainer_arguments(settings, tmp_path_factory.mktemp("trl"), None),
            train_dataset=Dataset.from_dict({"prompt": [str(n) for n in range(8)]}),
            processing_class=loaded.tokenizer,
            peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
        )


def test_observations_are_masked_and_names_are_of_the_pool(trainer) -> None:
    episodes = trainer.play([row for row in range(8) for _ in range(4)])

    tokenizer = trainer.processing_class
    assert sum(len(episode.calls) for episode in episodes) > 8
    for episode in episodes:
        assert set(episode.calls) <= set(range(len(PAIRS)))
        assert len(set(episode.calls)) == len(episode.calls) <= 2
        seen = tokenizer.decode(
            [token for token, own in zip(episode.tokens, episode.own, strict=True) if not own]
        )
        answers = [trainer._rules.questions.answers[episode.row][p] for p in episode.calls]
        assert seen == "".join(f"\n\n<information> {a} </information>\n\n" for a in answers)
        learnt = [t for t, m in zip(episode.tokens, episode.mask, strict=True) if m]
        # Names have tokens without an alternative.
        assert not episode.calls or len(learnt) < episode.written
        assert all(episode.own[place] for place, m in enumerate(episode.mask) if m)


def test_log_probabilities_are_those_of_the_constrained_draw(trainer) -> None:
    """Against one plain forward pass a token, under a processor that follows the text anew."""
    episode = next(
        one for one in trainer.play([0] * 8) if len(one.calls) == 1 and one.fault is None
    )
    trainer._current = [episode]
    tokens = torch.tensor([episode.prompt + episode.tokens])
    log_probs, entropies, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, tokens, torch.ones_like(tokens), len(episode.tokens), compute_entropy=True
    )

    rules = trainer._rules
    own = [place for place, is_own in enumerate(episode.own) if is_own]
    second = next(b for a, b in pairwise(own) if b != a + 1)
    with torch.no_grad():
        logits = trainer.model(tokens).logits[0] / rules.settings.temperature
    before = len(episode.prompt)
    for start, legal in ((0, {0, 1, 2}), (second, {0, 1, 2} - set(episode.calls))):
        names = PairNames(rules.grammar, [legal], before + start)
        for place in (p for p in own if p >= start and (p < second or start == second)):
            at = before + place
            allowed = names(tokens[:, :at], logits[at - 1][None].clone())
            spread = torch.distributions.Categorical(logits=allowed[0])
            token = tokens[0, at]
            assert log_probs[0, place].item() == pytest.approx(
                spread.log_prob(token).item(), abs=1e-4
            )
            probabilities = spread.probs[spread.probs > 0]
            wanted = -(probabilities * probabilities.log()).sum().item()
            assert entropies[0, place].item() == pytest.approx(wanted, abs=1e-4)
    forced = [place for place, limit in episode.constraints.items() if limit.forced]
    assert forced
    assert not log_probs[0, forced].any()


def test_only_what_the_policy_chose_counts_in_the_loss(trainer) -> None:
    """At a ratio of one the loss is −Σ advantage · mask over the number of chosen tokens."""
    inputs = [{"prompt": str(row)} for row in (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)]
    trainer.model.train()
    output = trainer._generate_and_score_completions(inputs)
    episodes = [trainer._episodes[number] for number in output["episode"].tolist()]
    chosen = torch.tensor([sum(episode.mask) for episode in episodes]).float()
    output["advantages"] = torch.linspace(-1, 1, len(episodes))
    output["old_per_token_logps"] = None
    output["ref_per_token_logps"] = torch.zeros_like(output["completion_ids"]).float()
    trainer.beta, beta = 0.0, trainer.beta
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation

    loss = trainer._compute_loss(trainer.model, output)

    trainer.beta = beta
    wanted = -(output["advantages"] * chosen).sum() / chosen.sum()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_adapters_train_keep_and_come_back_alike(base, tmp_path) -> None:
    from tasks.learn.language_policy.played import play_language_policy
    from tasks.learn.language_policy.policy_folder import (
        FILE,
        read_language_policy,
        write_language_policy,
    )
    from tasks.learn.language_policy.train import train_language_policy

    said: list[str] = []
    settings = LanguageSettings(
        base=str(base), steps=2, questions_a_step=4, questions_an_update=2, adapter_rank=4,
        learning_rate=1e-3, **SMALL,
    )  # fmt: skip
    made = toy_questions()
    scores = made.scores.copy()
    scores[5] = np.nan
    questions = replace(made, scores=scores)
    kept: list[tuple[int, Path]] = []
    policy = train_language_policy(
        questions,
        settings,
        keep=lambda one, step: kept.append((step, write_language_policy(one, tmp_path / "kept"))),
        keep_every=1,
        say=said.append,
    )

    folder = write_language_policy(policy, tmp_path / "policies")
    again = read_language_policy(folder)

    assert "1 questions without any recorded score are left out" in said
    assert write_language_policy(again, tmp_path / "policies") == folder
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {
        ".json", ".jinja", ".safetensors",
    }  # fmt: skip
    before = play_language_policy(policy, made)
    after = play_language_policy(again, made)
    assert [e.tokens for e in before.episodes] == [e.tokens for e in after.episodes]
    assert again.settings == settings
    assert again.pool == policy.pool

    # The same seed gives the same policy, so the same name.
    twin = write_language_policy(train_language_policy(questions, settings), tmp_path / "twins")
    assert twin.name == folder.name

    # What was kept on the way is a policy of its own, with other weights than the last.
    assert [step for step, _ in kept] == [1]
    assert read_language_policy(kept[0][1]).pool == policy.pool
    assert kept[0][1].name != folder.name

    _refuses_what_is_not_as_written(folder, tmp_path)
    content = json.loads((folder / FILE).read_text())
    assert content["weights"] == "adapter"
    assert content["libraries"]["trl"].startswith("1.16.")


def _refuses_what_is_not_as_written(folder: Path, tmp_path: Path) -> None:
    from tasks.learn.language_policy.policy_folder import FILE, read_card

    damaged = shutil.copytree(folder, tmp_path / "damaged")
    weights = damaged / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(LanguagePolicyError, match="is damaged"):
        read_card(damaged)
    foreign = shutil.copytree(folder, tmp_path / "foreign")
    (foreign / "adapter" / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(LanguagePolicyError, match="does not belong to a language policy"):
        read_card(foreign)
    edited = shutil.copytree(folder, tmp_path / "edited")
    (edited / FILE).write_text((edited / FILE).read_text().replace('"price": 0.0', '"price": 1.0'))
    with pytest.raises(LanguagePolicyError, match="was changed after it was written"):
        read_card(edited)
    with pytest.raises(LanguagePolicyError, match="it is no language policy"):
        read_card(tmp_path)


def test_the_reward_rises_and_the_right_pair_is_found(trained) -> None:
    from tasks.learn.language_policy.played import play_language_policy

    policy, logged = trained
    rewards = [one["policy/reward"] for one in logged if "policy/reward" in one]

    assert len(rewards) == 14
    assert np.mean(rewards[-4:]) > np.mean(rewards[:4]) + 0.15
    played = play_language_policy(policy, toy_questions())
    assert played.measures()["accuracy"] >= 0.75
    assert played.measures()["calls"] >= 0.75
    right = [episode.calls for episode in played.episodes].count([RIGHT])
    assert right >= 6
    assert (played.played.leader == RIGHT).sum() == right


def test_all_weights_are_kept_and_read_back(trained, tmp_path) -> None:
    from tasks.learn.language_policy.policy_folder import (
        read_card,
        read_language_policy,
        write_language_policy,
    )

    policy, _ = trained
    folder = write_language_policy(policy, tmp_path)

    assert read_card(folder)["weights"] == "model"
    again = read_language_policy(folder)
    mine, theirs = policy.model.state_dict(), again.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_questions_about_other_pairs_are_refused(trained) -> None:
    from tasks.learn.language_policy.played import play_language_policy

    made = toy_questions()
    fewer = replace(
        made, pairs=PAIRS[:2], answers=tuple(row[:2] for row in made.answers),
        scores=made.scores[:, :2], costs=made.costs[:, :2],
    )  # fmt: skip

    with pytest.raises(LanguagePolicyError, match=r"beta-2\.5@@none"):
        play_language_policy(trained[0], fewer)
    assert play_language_policy(trained[0], fewer, pool=prompt_pool(PAIRS[:2])).episodes


def test_a_base_that_is_not_there_is_a_sentence(tmp_path) -> None:
    from tasks.learn.language_policy.policy_folder import load_base

    with pytest.raises(LanguagePolicyError, match="cannot be loaded"):
        load_base(str(tmp_path / "nothing"), None)


def test_another_trl_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("tasks.learn.language_policy.libraries.version", lambda _name: "1.17.0")

    with pytest.raises(LanguagePolicyError, match=r"made for TRL 1\.16 .* TRL 1\.17\.0"):
        check_libraries()
