"""How good the predictions are, on places that training never saw, with baselines beside them."""

from .. import training as training  # First: it prepares XGBoost's threads.
