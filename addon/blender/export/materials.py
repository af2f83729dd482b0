"""Materials as the formats have them. Imports bpy.

A material that only gives off an image's colours is *unlit* in glTF (KHR_materials_unlit), which Blender's exporter
recognises by an image that is wired to the output itself. USD knows no such thing: there it is a surface that reflects
nothing and gives off the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy


@dataclass(frozen=True)
class Glow:
    """A material that only gives off the colours of ``texture``. ``uv``: the layer's name; "" is the active one."""

    texture: bpy.types.ShaderNodeTexImage
    uv: str


def glow_of(material: bpy.types.Material) -> Glow | None:
    """What ``material`` gives off, where that is an image's colours as they are, and all there is to it."""
    has_nodes = material.node_tree is not None and (bpy.app.version >= (5, 0, 0) or material.use_nodes)
    output = material.node_tree.get_output_node("ALL") if has_nodes else None
    surface = _feeding(output.inputs["Surface"]) if output is not None else None
    if surface is None:
        return None
    if surface.type == "EMISSION":
        colour, strength = surface.inputs["Color"], surface.inputs["Strength"]
    elif surface.type == "BSDF_PRINCIPLED" and _is_black(surface.inputs["Base Color"]):
        colour, strength = surface.inputs["Emission Color"], surface.inputs["Emission Strength"]
    else:
        return None
    texture = _feeding(colour)
    if strength.is_linked or strength.default_value != 1 or texture is None or texture.type != "TEX_IMAGE":
        return None
    if texture.image is None:
        return None
    layer = _feeding(texture.inputs["Vector"])
    if layer is None:
        return Glow(texture, "")
    return Glow(texture, layer.uv_map) if layer.type == "UVMAP" else None


def unlit(glow: Glow) -> bpy.types.Material:
    """A new material for glTF's exporter."""
    material, texture, output = _with_texture(glow)
    material.node_tree.links.new(texture.outputs["Color"], output.inputs["Surface"])
    return material


def glowing(glow: Glow) -> bpy.types.Material:
    """A new material for USD's: it reflects nothing, whatever lights there are."""
    material, texture, output = _with_texture(glow)
    tree = material.node_tree
    surface = tree.nodes.new("ShaderNodeBsdfPrincipled")
    surface.inputs["Base Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    surface.inputs["Roughness"].default_value = 1.0
    surface.inputs["IOR"].default_value = 1.0
    surface.inputs["Specular IOR Level"].default_value = 0.0
    surface.inputs["Emission Strength"].default_value = 1.0
    tree.links.new(texture.outputs["Color"], surface.inputs["Emission Color"])
    tree.links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    return material


def uv_layers(material: bpy.types.Material) -> Iterator[str]:
    """The names of the UV layers that ``material`` reads; "" stands for the mesh's active one."""
    if material.node_tree is not None:
        yield from _layers_of(material.node_tree, set())


def _layers_of(tree: bpy.types.NodeTree, seen: set[int]) -> Iterator[str]:
    if tree.as_pointer() in seen:
        return
    seen.add(tree.as_pointer())
    for node in tree.nodes:
        if node.type in {"UVMAP", "NORMAL_MAP", "TANGENT"}:
            yield node.uv_map
        elif node.type == "ATTRIBUTE":
            yield node.attribute_name
        elif node.type == "TEX_COORD" or (node.type == "TEX_IMAGE" and not node.inputs["Vector"].is_linked):
            yield ""
        elif node.type == "GROUP" and node.node_tree is not None:
            yield from _layers_of(node.node_tree, seen)


def _with_texture(glow: Glow) -> tuple[bpy.types.Material, Any, Any]:
    material = bpy.data.materials.new("Draftglass")
    if material.node_tree is None:  # before Blender 5
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    texture, output = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeOutputMaterial")
    texture.image = glow.texture.image
    texture.extension, texture.interpolation = glow.texture.extension, glow.texture.interpolation
    if glow.uv:
        layer = tree.nodes.new("ShaderNodeUVMap")
        layer.uv_map = glow.uv
        tree.links.new(layer.outputs["UV"], texture.inputs["Vector"])
    return material, texture, output


def _feeding(socket: Any) -> Any:
    """The node that feeds ``socket``, past reroutes; None for none."""
    while socket is not None and socket.is_linked:
        node = socket.links[0].from_node
        if node.type != "REROUTE":
            return node
        socket = node.inputs[0]
    return None


def _is_black(socket: Any) -> bool:
    return not socket.is_linked and tuple(socket.default_value)[:3] == (0.0, 0.0, 0.0)
