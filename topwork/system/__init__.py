"""This machine and this process: files, folders in use, memory, Keras' backend and settings, messages.

Imports `topwork.errors` alone. Read `topwork.system.files` first.
"""
