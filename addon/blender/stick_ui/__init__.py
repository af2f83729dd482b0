"""The operators, the panel and the overlay of Stick. Imports bpy."""
