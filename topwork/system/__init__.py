"""This machine and this process: files, folders in use, memory, Keras' backend and settings, messages.

From topwork, this package imports only `topwork.errors`. Read `topwork.system.files` first.
"""
