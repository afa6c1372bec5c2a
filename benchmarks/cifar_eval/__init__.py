"""Scores become accuracy, parity, a gate's verdict, confidence, robustness and errors by layer."""
