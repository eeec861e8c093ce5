"""The model that `headgrid.demo()` gives: how it was trained, and what its card says."""
