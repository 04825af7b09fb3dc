"""The formats of exported files, one per module."""
