"""What a 3D View shows, drawn by ourselves: depth, normals, which thing a pixel is of. Nothing is imported here."""
