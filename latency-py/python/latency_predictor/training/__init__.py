"""Training: tables of measurements → one checked ONNX file."""
