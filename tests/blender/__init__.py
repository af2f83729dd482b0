"""The rig: a real Blender with a real window, mouse and screen, and the tests that drive it."""
