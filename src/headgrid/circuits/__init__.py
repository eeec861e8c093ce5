"""What heads, MLPs and neurons do, read from their weights."""
