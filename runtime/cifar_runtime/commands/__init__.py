"""The command lines of this package, and what all command lines share."""
