"""What `cifar-info` tells of a model file, of its signature, and of the machine it runs on. Nothing here prints."""
