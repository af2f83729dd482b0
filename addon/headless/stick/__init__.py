"""``python -m addon --stick``: pictures of several views become the scene's textures. Nothing is imported here.

``perform`` (views, textures, files) <- ``painting`` (one picture for one draft), ``sheet``, ``report``.
"""
