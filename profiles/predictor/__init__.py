"""The predictor of a profile: every pair's score on a question, from its text and embedding."""

from profiles.predictor.calibration import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability,
)
from profiles.predictor.predictor import Prediction, Predictor, fit_predictor
from profiles.predictor.settings import PredictorSettings

__all__ = [
    "Prediction",
    "Predictor",
    "PredictorSettings",
    "ReliabilityCurve",
    "expected_calibration_error",
    "fit_predictor",
    "reliability",
]
