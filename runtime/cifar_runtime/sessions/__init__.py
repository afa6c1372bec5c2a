"""Interpreters behind one interface, and foreign models in processes of their own."""
