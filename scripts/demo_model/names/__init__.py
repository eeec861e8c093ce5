"""The marked-name model: its sentences, how it was trained, and what its card says."""
