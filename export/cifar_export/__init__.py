"""Converts Keras classifiers to TFLite and ONNX artefacts, and publishes only what was verified."""
