"""From a 3D View to a draft: which view, what changed, how it is drawn and read. Nothing is imported here."""
