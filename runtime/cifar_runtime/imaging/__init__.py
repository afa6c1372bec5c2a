"""Pictures: decoded, upright, and brought to a model's size."""
