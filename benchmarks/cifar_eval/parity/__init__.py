"""Two models compared on the same images, and the gate on it."""
