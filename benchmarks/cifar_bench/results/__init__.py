"""What a report holds: frozen measurements and what follows from them."""
