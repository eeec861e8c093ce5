"""Linear algebra with no transformer in it: products kept in factors, and singular values."""
