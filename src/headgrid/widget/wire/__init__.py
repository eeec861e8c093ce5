"""What crosses between Python and the browser, and how what comes from there is checked."""
