"""The server that the project's first README describes: Flask before an XGBoost model, JSON in and out."""

import os

import numpy as np
import xgboost
from flask import Flask, jsonify, request

app = Flask(__name__)
model = xgboost.XGBRegressor(n_jobs=1)
model.load_model(os.environ["PEER_MODEL"])


@app.post("/predict")
def predict():
    rows = np.asarray(request.get_json()["features"], dtype=np.float32)
    return jsonify(predictions=model.predict(rows).tolist())
