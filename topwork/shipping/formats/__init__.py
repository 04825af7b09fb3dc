"""One module for each format of an exported file."""
