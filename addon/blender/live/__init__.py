"""Live's switch and one session of it: Blender's heartbeat. Nothing is imported here."""
