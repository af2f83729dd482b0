"""What can go wrong, and its words for a person. Standard library only; no bpy, no I/O."""
