"""How the model that ships with headgrid was trained, and how its card is measured; run as scripts from `scripts/`."""
