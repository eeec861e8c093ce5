"""The checkpoints of the induction jump: how they were trained, and what their card says."""
