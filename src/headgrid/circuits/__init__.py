"""Circuits of heads, MLPs and neurons, read from their weights."""
