"""Labelled images: CIFAR-10, folders of pictures, the packaged samples."""
