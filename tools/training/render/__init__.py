"""Blockout samples: what a modeler's viewport shows, its depth, a finished picture. Nothing is imported here.

python -m tools.training.render SHARD COUNT [--out DIR]
"""
