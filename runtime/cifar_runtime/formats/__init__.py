"""Model files as bytes: their graphs, and the card inside them."""
