"""Contact sheets: scenes over two settings each, to choose by eye. torch through the engine; no bpy but by itself."""
