"""The anatomy of a model: dimensions, stacks, layers, and the slots of parameters. Read `anatomy.anatomy` first."""
