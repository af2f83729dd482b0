"""Geometry that the viewport knows exactly: where a pixel lies in the world, and where and whether another view has it.

numpy and plain arithmetic only. Both ends use it; the engine's version in torch is held to it by a test.
"""
