"""What is in topwork's home: listed, verified, removed where nothing needs it.

Read `topwork.store.upkeep.inventory` first.
"""
