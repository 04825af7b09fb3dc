"""The articles' systems as plain Keras scripts, one per module, written anew from the articles' descriptions."""
