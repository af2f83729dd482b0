"""A .blend file's views without a window, for ``python -m addon``. Nothing is imported here.

``opening`` (the file, and what it lacks) -> ``choice`` (scene, view layer, camera, looks) -> ``probe`` (what a view
shows) -> ``sights`` (the views of an orbit or of frames) -> ``scene`` (draws them). ``unseen`` finds why a view shows
nothing.
"""
