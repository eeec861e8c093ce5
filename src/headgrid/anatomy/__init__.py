"""What a model is made of: dimensions, stacks, layers, and the slots of parameters. Read `anatomy.anatomy` first."""
