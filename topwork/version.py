"""The version, and the numbers of the formats that topwork writes."""

VERSION = "0.1.0"
RUN_FORMAT = 2
"""The format of run folders. In format 1, six keys of a recipe had other names (`topwork.recipes.renamed`)."""

FILE_FORMAT = 2
"""The format of the metadata in exported files."""

STORE_FORMAT = 1
"""The format of stored activations."""
