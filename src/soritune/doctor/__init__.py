"""Audit of prepared corpora: what is in them, what is wrong with it, and what fixes it."""
