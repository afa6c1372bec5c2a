"""Cards, and the files that leave the exporter."""
