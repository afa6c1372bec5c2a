"""Interpreters with one interface, and foreign models in processes of their own."""
