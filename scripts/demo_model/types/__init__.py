"""The model of head types: how it was trained, and what its card says."""
