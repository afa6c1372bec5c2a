"""Preparing a model for int8 without training."""
