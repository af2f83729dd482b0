"""The textured scene as a file for other programs: GLB, USDZ, .blend. Nothing is imported here.

``write`` (one file, by its ending) <- ``copies`` (what the view shows, as plain meshes in a scene of their own) <-
``materials`` (each of a kind that the format has), ``names`` (that the copies bear while they are written).
"""
