"""The command ``cifar-make``; imported by nobody."""
