"""Measures accuracy, parity and latency of anything a session can open."""
