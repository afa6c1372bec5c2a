"""What computes: backends, optimizers, devices, whole epochs."""
