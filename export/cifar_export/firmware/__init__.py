"""Writes firmware from an int8 .tflite file: plain C99, or what TensorFlow Lite Micro needs."""
