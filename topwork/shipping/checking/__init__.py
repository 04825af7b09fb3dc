"""Check exported files: against the model when they are written, and on any machine later."""
