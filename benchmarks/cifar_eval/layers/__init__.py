"""Where a converted model departs from its original, layer by layer."""
