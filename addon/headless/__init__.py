"""Drafts in, pictures out, without a window: what ``python -m addon`` runs. Nothing is imported here.

``arguments`` (what was asked for) -> ``plan`` (the shots) -> ``run`` (capture, loop, wire) -> ``report``, ``sheet``
(what it leaves). ``server`` starts a server where none is given. Only ``main`` touches Blender, through
``addon.blender.scene_file``.
"""
