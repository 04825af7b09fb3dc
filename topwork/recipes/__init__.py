"""What is asked for: the settings of a run, read from TOML, and the recipes that topwork brings.

Imports `topwork.system` and `topwork.cut`. Read `topwork.recipes.settings` first, then `topwork.recipes.recipe`.
"""
