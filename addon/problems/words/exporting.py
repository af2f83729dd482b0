"""The words about exports. Standard library only; no bpy."""

from __future__ import annotations

from .. import exporting
from .entry import says

EXPORTING = (
    says(
        exporting.UnknownFormat,
        lambda p: f"The file to export to is {p.file!r}, but must end in one of {p.known}.",
        "Give it another ending.",
    ),
    says(
        exporting.NothingToExport,
        lambda p: f"The view layer {p.view_layer!r} shows nothing that has faces, so there is nothing to export.",
        "Show what should be exported.",
    ),
    says(
        exporting.FileNotWritable,
        lambda p: f"{p.file} can't be written: {p.detail}.",
        "Choose a folder that exists and that you may write to.",
    ),
    says(
        exporting.ExporterFailed,
        lambda p: f"Blender's own exporter could not write {p.file}: {p.detail}.",
        "Export to another format, or enable the exporter in Blender's preferences.",
    ),
)
