"""The wire between Python and the browser: its types, its commands, and the checks of messages."""
