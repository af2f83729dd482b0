"""What a 3D View shows, drawn by ourselves: depth, normals, object ids. Nothing is imported here."""
