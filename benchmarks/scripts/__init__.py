"""The articles' systems as plain Keras scripts, one per module, written from scratch by the articles' descriptions."""
