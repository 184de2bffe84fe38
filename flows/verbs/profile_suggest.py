"""`atlas profile suggest`: the questions of past backlogs that would teach most, once labelled."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from flows.console import data_json, say
from flows.verbs.options import AsJson, Config, Root, home


def suggest(
    out: Annotated[Path, typer.Option(help="File to write; one that exists is never touched.")],
    n: Annotated[int, typer.Option("--n", help="How many questions.", min=1)] = 100,
    profile: Annotated[str, typer.Option(help="Id of a profile.")] = "latest",
    root: Root = None,
    config: Config = None,
    encoder: Annotated[str, typer.Option(help="Sentence encoder of the profile.")] = "minilm",
    encoder_dtype: Annotated[str, typer.Option(help="Number format of its weights.")] = "float32",
    json: AsJson = False,
) -> None:
    """Write the most informative unlabelled questions of past backlogs, ready for labelling.

    Fill in `reference` (and `grader`) and give the file to `atlas profile run` or `atlas refresh`
    with your other labelled questions. Asks no model.
    """
    from profiles.errors import ProfileError
    from tasks.embedder import cached_embedder
    from tasks.freshness.suggestions import check_free, suggested_rows, write_suggestions
    from tasks.profiling.store import find_profile
    from warehouse.ledger import open_ledger

    check_free(out)
    settings = home(root, config)
    known = find_profile(settings.root, profile)
    embedder = cached_embedder(settings.root, encoder, dtype=encoder_dtype)
    if embedder.fingerprint != known.encoder_fingerprint:
        raise ProfileError(
            f"{known.profile_id} was made with the encoder {known.encoder_fingerprint!r}, not "
            f"{embedder.fingerprint!r}: give its --encoder and --encoder-dtype"
        )
    with closing(open_ledger(settings.root, read_only=True)) as ledger:
        rows = suggested_rows(settings.root, ledger, known, embedder, count=n)
    write_suggestions(out, rows)
    reasons = Counter(row["why"] for row in rows)
    if json:
        data_json({"out": out, "questions": len(rows), "reasons": dict(reasons)})
    said = ", ".join(f"{count:,} {why}" for why, count in reasons.most_common())
    say(f"{len(rows):,} questions are in {out}: {said}")
    say("next: fill in `reference` and `grader`, then atlas profile run FOLDER, which takes both")
