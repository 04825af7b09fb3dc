"""The page of a server."""

POLICY = "default-src 'none'"


def page() -> str:
    """Return the page."""
    return ""
