"""How good the predictions are, on places that training never saw, with baselines beside them."""
