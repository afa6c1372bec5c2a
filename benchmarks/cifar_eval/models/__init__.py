"""Anything that scores images, opened: artefacts and Keras checkpoints."""
