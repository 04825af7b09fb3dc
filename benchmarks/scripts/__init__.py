"""The articles' systems as plain Keras scripts, written anew from their descriptions: one a file."""
