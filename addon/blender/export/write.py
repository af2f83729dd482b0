"""Writes the textured scene to a file, by its ending. Imports bpy.

Blender's own exporters do it, with settings that model-viewer, three.js, Godot and Quick Look show right: metres, Y up,
textures within the file, no cameras or lights, and nothing that only Blender knows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ...problems import Problem
from ...problems.errors import ProblemError
from ...problems.exporting import ExporterFailed, FileNotWritable, NothingToExport, UnknownFormat
from .copies import Copies
from .materials import glowing, unlit
from .names import names_for_files

GLTF = "io_scene_gltf2"
GLTF_SETTINGS: dict[str, Any] = {
    "export_format": "GLB",
    "use_active_scene": True,
    "export_yup": True,
    "export_apply": False,  # the copies have no modifiers
    "export_texcoords": True,
    "export_normals": True,
    "export_materials": "EXPORT",
    "export_image_format": "AUTO",
    "export_unused_images": False,
    "export_all_vertex_colors": False,
    "export_active_vertex_color_when_no_material": False,
    "export_cameras": False,
    "export_lights": False,
    "export_animations": False,
    "export_skins": False,
    "export_morph": False,
    "export_extras": False,
    "will_save_settings": False,
}
USD_SETTINGS: dict[str, Any] = {
    "selected_objects_only": False,
    "export_animation": False,
    "export_hair": False,
    "export_uvmaps": True,
    "rename_uvmaps": True,  # to st, the one that every player looks for
    "export_mesh_colors": False,
    "export_normals": True,
    "export_materials": True,
    "export_subdivision": "IGNORE",
    "export_armatures": False,
    "export_shapekeys": False,
    "use_instancing": False,
    "evaluation_mode": "VIEWPORT",
    "generate_preview_surface": True,
    "generate_materialx_network": False,
    "convert_orientation": True,
    "export_global_forward_selection": "NEGATIVE_Z",
    "export_global_up_selection": "Y",
    "export_textures_mode": "NEW",
    "overwrite_textures": True,
    "relative_paths": True,
    "export_custom_properties": False,
    "author_blender_name": False,
    "convert_world_material": False,
    "allow_unicode": False,
    "export_lights": False,
    "export_cameras": False,
    "triangulate_meshes": True,  # players cut hollow polygons wrongly
    "convert_scene_units": "METERS",
}


class ExportError(ProblemError):
    """No file was written; one that was there before is as it was."""


def export(path: Path, view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D) -> None:
    """Write what ``space`` shows of ``view_layer`` to ``path``; a .blend is the whole file. Raises ExportError."""
    write = FORMATS.get(path.suffix.lower())
    if write is None:
        raise ExportError(UnknownFormat(path.name, ", ".join(FORMATS)))
    with _beside(path.absolute()) as unfinished:
        write(unfinished, view_layer, space)


def _glb(path: Path, view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D) -> None:
    with Copies(view_layer, space, unlit) as copies, _gltf_exporter(path):
        _run(path, copies, bpy.ops.export_scene.gltf, GLTF_SETTINGS)


def _usdz(path: Path, view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D) -> None:
    if "usd_export" not in dir(bpy.ops.wm):
        raise ExportError(ExporterFailed(path.name, "it is not part of this Blender"))
    with Copies(view_layer, space, glowing) as copies, names_for_files(bpy.data.images):
        _run(path, copies, bpy.ops.wm.usd_export, USD_SETTINGS)


def _blend(path: Path, _layer: bpy.types.ViewLayer, _space: bpy.types.SpaceView3D) -> None:
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    except RuntimeError as error:
        raise ExportError(ExporterFailed(path.name, _words(error))) from None


FORMATS: dict[str, Callable[[Path, bpy.types.ViewLayer, bpy.types.SpaceView3D], None]] = {
    ".glb": _glb,
    ".usdz": _usdz,
    ".blend": _blend,
}
"""What writes each, by its ending."""


def _run(path: Path, copies: Copies, operator: Any, settings: dict[str, Any]) -> None:
    """Call ``operator`` on the scene of ``copies``, with those ``settings`` that this Blender's knows."""
    if not copies.count:
        raise ExportError(NothingToExport(copies.view_layer.name))
    known = {setting.identifier for setting in operator.get_rna_type().properties}
    with _showing(copies.scene):
        try:
            done = operator(filepath=str(path), **{name: value for name, value in settings.items() if name in known})
        except RuntimeError as error:
            raise ExportError(ExporterFailed(path.name, _words(error))) from None
    if "FINISHED" not in done or not path.exists():
        raise ExportError(ExporterFailed(path.name, "it wrote nothing"))


@contextlib.contextmanager
def _showing(scene: bpy.types.Scene) -> Iterator[None]:
    """Have the window show ``scene``: exporters take what it shows."""
    window = bpy.context.window or bpy.context.window_manager.windows[0]
    before = window.scene, window.view_layer
    window.scene = scene
    try:
        yield
    finally:
        window.scene, window.view_layer = before


@contextlib.contextmanager
def _gltf_exporter(path: Path) -> Iterator[None]:
    """Enable Blender's add-on for glTF, which a person may have switched off."""
    import addon_utils  # Blender's own, which is there once bpy is

    was_on = addon_utils.check(GLTF)[1]
    if not was_on:
        addon_utils.enable(GLTF)
    try:
        if not addon_utils.check(GLTF)[1]:
            raise ExportError(ExporterFailed(path.name, f"Blender's add-on {GLTF} can't be enabled"))
        yield
    finally:
        if not was_on:
            addon_utils.disable(GLTF)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path of the same name in a folder beside ``path``, moved there when all went well. Raises ExportError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".draftglass-", dir=path.parent))
    except OSError as error:
        raise ExportError(_not_writable(path, error)) from None
    try:
        unfinished = folder / f"{path.stem}{path.suffix.lower()}"  # exporters add the ending that they know
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise ExportError(_not_writable(path, error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _not_writable(path: Path, error: OSError) -> Problem:
    return FileNotWritable(str(path), error.strerror or str(error))


def _words(error: RuntimeError) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].removeprefix("Error: ")
