"""Keras models of the kinds that people bring, each trained for seconds on pictures that ship with scikit-learn."""
