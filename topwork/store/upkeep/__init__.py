"""Upkeep of topwork's home: list its contents, verify them, and remove those that no run needs.

Read `topwork.store.upkeep.inventory` first.
"""
