"""The version, and the number of the formats that topwork writes."""

VERSION = "0.1.0"
FORMAT = 1
