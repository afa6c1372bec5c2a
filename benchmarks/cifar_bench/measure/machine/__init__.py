"""This machine's ceilings: what each runtime reaches on a matrix product, and copying memory."""
