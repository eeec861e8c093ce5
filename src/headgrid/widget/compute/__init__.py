"""What is read from weights beside the kernel's event loop, and kept until the weights change."""
