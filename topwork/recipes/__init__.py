"""Recipes: the settings of a run, read from TOML, and the recipes that are part of topwork.

Imports `topwork.system` and `topwork.cut`. Read `topwork.recipes.settings` first, then `topwork.recipes.recipe`.
"""
