"""How the models that ship were trained, and how their cards are measured; run as scripts from `scripts/`."""
