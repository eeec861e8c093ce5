"""headgrid: click heads of a transformer in a notebook, get parameter masks."""
