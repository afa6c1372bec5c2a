"""A static site that classifies in the visitor's browser; see ``site``."""
