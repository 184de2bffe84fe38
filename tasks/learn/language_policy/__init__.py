"""A language model as multi-step policy, trained by reinforcement on recorded answers.

| module | what it does |
|---|---|
| `settings` | what a training is told; the paper's constants are the defaults |
| `questions` | recorded questions with the answers, scores and costs of every pair |
| `prompt` | what the model reads: rules, pool, question |
| `pair_names` | after `<search>` only names of legal pairs can be written |
| `transcript` | what the model wrote, read and checked against the format |
| `episode` | one trajectory: tokens, who wrote them, calls, answer, rewards |
| `rollout` | many episodes at once: generate, look up what was recorded, go on |
| `constrained` | log-probabilities under the constraint that sampling was under |
| `grpo` | TRL's trainer over these parts |
| `train` | from questions to a trained policy |
| `policy_folder` | safetensors, tokenizer and JSON; written whole, read without pickle |
| `played` | accuracy, cost and calls of a trained policy on recorded questions |
| `registered` | versions in the MLflow model registry |

Everything but this package's plain parts needs the extra `llm`.
"""
