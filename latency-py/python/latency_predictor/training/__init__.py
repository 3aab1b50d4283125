"""Training: tables of measurements → one checked ONNX file."""

import os

# XGBoost's threads spin while they wait for each other: beside another busy process, training then takes twenty
# times as long. OpenMP reads this when XGBoost is loaded, so it must stand before.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
