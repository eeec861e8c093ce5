"""Work on weights beside the kernel's event loop, and the cache of its results."""
