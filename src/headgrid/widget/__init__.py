"""The notebook side: the widget, and what crosses between it and the browser."""
