"""Trains Keras classifiers on CIFAR-10: data, recipes, architectures, fit, evaluate."""
