"""Bytes to a server and back: connection, shared memory, compression. No bpy, no threads, nothing that waits."""
