"""A user's own pictures: found, decoded once, divided by their content, reported on."""
