"""CIFAR-10 itself: where it comes from, how it is stored and split."""
