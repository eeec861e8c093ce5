"""Sets of parts: their algebra, the language they are written in, and the masks they become."""
