"""Films of an animation: frame after frame, painted over one memory, as files and as a video. Imports bpy."""
