"""What every folder uses: checks of arguments, files that are written whole, frozen mappings, warnings."""
