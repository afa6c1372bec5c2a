"""One converter for each kind of file."""
