"""Plain arithmetic on what Blender knows of a view: distances, matrices, comparison. numpy only: no bpy."""
