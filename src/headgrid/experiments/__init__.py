"""Experiments: what heads do on a text, beside controls."""
