"""A material under construction, as shader nodes. bpy only here and beside."""

from __future__ import annotations

from typing import Any

import bpy


class Nodes:
    """A material under construction: one Principled BSDF with object-space texture coordinates."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        out, self.bsdf = self.add("OutputMaterial"), self.add("BsdfPrincipled")
        self.link(self.bsdf.outputs[0], out.inputs[0])
        self.set("Roughness", 0.85)
        self.coords = self.add("TexCoord").outputs["Object"]

    def add(self, kind: str, **attrs: Any) -> Any:
        """Add a shader node, its type without "ShaderNode", and set attributes of it."""
        node = self.tree.nodes.new("ShaderNode" + kind)
        for key, value in attrs.items():
            setattr(node, key, value)
        return node

    def link(self, a: Any, b: Any) -> None:
        """Connect an output to an input."""
        self.tree.links.new(a, b)

    def set(self, name: str, value: Any) -> None:
        """Set an input of the Principled BSDF."""
        self.bsdf.inputs[name].default_value = value

    def texture(self, kind: str, scale: float, coords: Any = None, **inputs: Any) -> Any:
        """Add a texture node in object space, or at the coordinates given."""
        node = self.add("Tex" + kind)
        node.inputs["Scale"].default_value = scale
        for key, value in inputs.items():
            node.inputs[key].default_value = value
        self.link(coords or self.coords, node.inputs["Vector"])
        return node

    def ramp(self, factor: Any, *stops: tuple[float, Any]) -> Any:
        """Return the colour that `stops`, (position, RGBA), give for a factor."""
        node = self.add("ValToRGB")
        self.link(factor, node.inputs[0])
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (pos, color) in zip(elements, stops, strict=False):
            element.position, element.color = pos, color
        return node.outputs[0]

    def mix(self, factor: Any, a: Any, b: Any, blend: str = "MIX") -> Any:
        """Return two colours mixed; each argument is a socket or a value."""
        node = self.add("MixRGB", blend_type=blend)
        for socket, value in zip(node.inputs, (factor, a, b), strict=False):
            if hasattr(value, "is_linked"):
                self.link(value, socket)
            else:
                socket.default_value = value
        return node.outputs[0]

    def wall_coords(self) -> Any:
        """Object coordinates turned so that brick courses run level on walls facing any way."""
        sep, comb, add = self.add("SeparateXYZ"), self.add("CombineXYZ"), self.add("Math")
        self.link(self.coords, sep.inputs[0])
        self.link(sep.outputs[0], add.inputs[0])
        self.link(sep.outputs[1], add.inputs[1])
        self.link(add.outputs[0], comb.inputs[0])
        self.link(sep.outputs[2], comb.inputs[1])
        return comb.outputs[0]

    def done(self, color: Any, bump: float = 0.4) -> bpy.types.Material:
        """Finish with a base colour that also gives the bumps, and return the material."""
        self.link(color, self.bsdf.inputs["Base Color"])
        node = self.add("Bump")
        node.inputs["Strength"].default_value = bump
        self.link(color, node.inputs["Height"])
        self.link(node.outputs[0], self.bsdf.inputs["Normal"])
        return self.material
