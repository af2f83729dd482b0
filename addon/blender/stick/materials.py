"""The material "Draftglass ..." over the user's own, and the way back to theirs. Imports bpy.

The user's materials stay where they are, in the mesh: ours is that of the object, which Blender shows in its place.
So going back is to link each slot to the mesh again; and objects that share a mesh can each show a picture of
their own. What an object had itself is noted in a property of the object.
"""

from __future__ import annotations

from typing import Any

import bpy

NOTE = "draftglass_stick"
"""The property of an object that tells what is stuck to it, and what it had before."""
_ADDED = "slot_added"
_MAPS = "draftglass_maps"
"""The property of a mesh with the UV maps that were active before."""


def material_for(name: str, image: bpy.types.Image, layer: str, emission: bool) -> bpy.types.Material:
    """A new material that shows ``image`` through the UV map ``layer``, by itself or lit."""
    material = bpy.data.materials.new(name)
    if not material.node_tree:
        material.use_nodes = True
    tree: Any = material.node_tree
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.extension = image, "EXTEND"
    place = tree.nodes.new("ShaderNodeUVMap")
    place.uv_map = layer
    shader = tree.nodes.new("ShaderNodeEmission" if emission else "ShaderNodeBsdfPrincipled")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    if not emission:
        shader.inputs["Roughness"].default_value = 1.0
    tree.links.new(place.outputs["UV"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], shader.inputs["Color" if emission else "Base Color"])
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    for number, node in enumerate((place, texture, shader, output)):
        node.location = (number * 300 - 600, 0)
    tree.nodes.active = texture
    return material


def put_on(thing: bpy.types.Object, material: bpy.types.Material, layer: str) -> None:
    """Show ``material`` on all of ``thing``, over what it has; and have ``layer`` drawn in Solid shading, too."""
    note = noted(thing)
    if "slots" not in note:
        if not len(thing.material_slots):
            thing.data.materials.append(None)
            note[_ADDED] = True
        note["slots"] = {str(number): _own(slot) for number, slot in enumerate(thing.material_slots)}
    for slot in thing.material_slots:
        slot.link = "OBJECT"
        slot.material = material
    mesh: Any = thing.data
    if mesh.library is None and layer in mesh.uv_layers:
        if _MAPS not in mesh:
            shown = next((one.name for one in mesh.uv_layers if one.active_render), "")
            mesh[_MAPS] = {"active": mesh.uv_layers.active.name, "render": shown}
        mesh.uv_layers.active = mesh.uv_layers[layer]
        mesh.uv_layers[layer].active_render = True


def is_stuck(thing: bpy.types.Object) -> bool:
    """Whether ``thing`` shows what was stuck to it."""
    note = thing.get(NOTE)
    return note is not None and note.get("image") is not None and "slots" in note


def material_name(thing: bpy.types.Object) -> str:
    """The name of the first of the mesh's own materials; empty where it has none."""
    mesh: Any = thing.data
    return next((one.name for one in mesh.materials if one is not None), "")


def noted(thing: bpy.types.Object) -> Any:
    """What is noted of ``thing``, to be read and written."""
    if thing.get(NOTE) is None:
        thing[NOTE] = {}
    return thing[NOTE]


def back_to_own(thing: bpy.types.Object) -> bool:
    """Let ``thing`` show its own materials again; whether it did not. The textures stay noted."""
    note = thing.get(NOTE)
    if note is None or "slots" not in note:
        return False
    slots = note["slots"]
    for number, slot in enumerate(thing.material_slots):
        was = slots.get(str(number))
        if was is None:  # the user has added it since
            continue
        slot.link = "OBJECT"
        slot.material = was.get("material")
        slot.link = was["link"]
    mesh: Any = thing.data
    others = [one for one in bpy.data.objects if one.data == mesh and one != thing and is_stuck(one)]
    del note["slots"]
    if not others and mesh.library is None:
        sharing = [one for one in bpy.data.objects if one.data == mesh]
        added = any((one.get(NOTE) or {}).get(_ADDED) for one in sharing)
        if added and len(mesh.materials) == 1 and mesh.materials[0] is None:
            mesh.materials.pop()
            for one in sharing:
                one.data = mesh  # else the object keeps its slot
        _restore_maps(mesh)
    return True


def show_again(thing: bpy.types.Object) -> None:
    """Show what was stuck to ``thing`` again, after :func:`back_to_own`."""
    note = noted(thing)
    if note.get("material") is not None and note.get("layer") is not None:
        put_on(thing, note["material"], note["layer"])


def _own(slot: bpy.types.MaterialSlot) -> dict[str, Any]:
    """What ``slot`` has; without a material where that is the mesh's."""
    if slot.link == "OBJECT" and slot.material is not None:
        return {"link": slot.link, "material": slot.material}
    return {"link": slot.link}


def _restore_maps(mesh: bpy.types.Mesh) -> None:
    was = mesh.get(_MAPS)
    if was is None:
        return
    if was["active"] in mesh.uv_layers:
        mesh.uv_layers.active = mesh.uv_layers[was["active"]]
    if was["render"] in mesh.uv_layers:
        mesh.uv_layers[was["render"]].active_render = True
    del mesh[_MAPS]
