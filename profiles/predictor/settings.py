"""How a predictor is fitted. The defaults are fixed: nothing is tuned to a table."""

from __future__ import annotations

from dataclasses import dataclass, fields

from profiles.errors import ProfileError


@dataclass(frozen=True, slots=True)
class PredictorSettings:
    """Settings of the guarded ridge; every field is a plain number, so they are JSON-able.

    Attributes:
        ridge: λ, the penalty on squared weights; features have mean squared norm of a few units.
        word_features: most word 1–2-grams kept, by the number of questions that hold them.
        word_min_df: questions that must hold a word n-gram.
        character_features: most character 1–4-grams kept.
        character_min_df: questions that must hold a character n-gram.
        components: dimensions each n-gram table is reduced to.
        side_weight: weight of the n-gram and count blocks beside the embedding's 1.
        membership_ridge: λ of the classifier that tells training datasets apart.
        membership_weight: weight of its outputs as features.
        max_characters: a text is read up to here.
        fill_rounds: times that cells which were not run are filled by the fit before them.
        margin: z; a switch must gain more than z standard errors of the advantage.
        folds: parts of the cross-validation.
        min_rows: with fewer scored questions there is no predictor.
        gate_points: smallest out-of-fold gain, in points of utility, that opens the gate.
        gate_errors: standard errors of the gain that it must exceed too.
        seed: of the folds and the randomised decomposition.
    """

    ridge: float = 150.0
    word_features: int = 20_000
    word_min_df: int = 2
    character_features: int = 30_000
    character_min_df: int = 3
    components: int = 256
    side_weight: float = 0.7
    membership_ridge: float = 10.0
    membership_weight: float = 1.5
    max_characters: int = 10_000
    fill_rounds: int = 3
    margin: float = 0.4
    folds: int = 5
    min_rows: int = 50
    gate_points: float = 0.25
    gate_errors: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that cannot be fitted.

        Raises:
            ProfileError: naming the field.
        """
        positive = {
            "ridge",
            "membership_ridge",
            "word_min_df",
            "character_min_df",
            "max_characters",
            "min_rows",
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (field.name in positive and value <= 0):
                least = "more than 0" if field.name in positive else "0 or more"
                msg = f"the predictor's {field.name} must be {least}, not {value}"
                raise ProfileError(msg)
        if self.folds < 2:
            msg = f"the predictor needs at least 2 folds, not {self.folds}"
            raise ProfileError(msg)
