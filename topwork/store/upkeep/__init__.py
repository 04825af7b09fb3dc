"""Upkeep of topwork's home: list what is there, verify it, and remove what no run needs.

Read `topwork.store.upkeep.inventory` first.
"""
