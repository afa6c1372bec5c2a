"""Distillation: teachers and their stored answers."""
