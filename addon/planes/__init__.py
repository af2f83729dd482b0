"""How planes get from one end to the other beside the socket. Both ends use it; no bpy, no sockets."""
