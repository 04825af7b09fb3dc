"""The commands, one a file: a family of functions that parse, call and print."""
