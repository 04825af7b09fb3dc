"""What a run should do: its settings, read from TOML, and the recipes that come with topwork.

Imports `topwork.system` and `topwork.cut`. Read `topwork.recipes.settings` first, then `topwork.recipes.recipe`.
"""
