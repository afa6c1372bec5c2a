"""The Keras checkpoint, and what its user declares of it."""
