"""Keras models as graphs: traced, rewritten, folded."""
