"""Pictures on show: in the Image Editor, over the 3D View, and what is drawn over them. Nothing is imported here."""
