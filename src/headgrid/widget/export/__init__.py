"""A grid elsewhere: as a picture, a page, or a part of a saved notebook."""
