"""Accuracy on damaged images."""
