"""The stages of training, each with what it learns from and its loss. torch and diffusers, no bpy."""
