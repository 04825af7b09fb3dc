"""The version, and the numbers of the formats that topwork writes."""

VERSION = "0.1.0"
RUN_FORMAT = 2
"""Of run folders. Format 1 had other names for six keys of a recipe (`topwork.recipes.renamed`)."""

FILE_FORMAT = 1
"""Of the metadata in exported files."""

STORE_FORMAT = 1
"""Of stored activations."""
