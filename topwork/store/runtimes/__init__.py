"""What executes a trunk: ``openvino`` or ``keras``.

Read `topwork.store.runtimes.base` first.
"""
