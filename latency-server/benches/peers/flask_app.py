"""The server that this project was first meant to be: Flask before XGBoost. It gets features, and gives margins."""

import os

import numpy as np
import xgboost
from flask import Flask, jsonify, request

app = Flask(__name__)
model = xgboost.XGBRegressor(n_jobs=1)
model.load_model(os.environ["PEER_MODEL"])


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.post("/predict")
def predict():
    rows = np.asarray(request.get_json()["features"], dtype=np.float32)
    return jsonify(predictions=model.predict(rows).tolist())
