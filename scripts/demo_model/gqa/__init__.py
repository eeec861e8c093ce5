"""The grouped-query model: how it was trained, and what its card says."""
