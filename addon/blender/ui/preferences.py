"""What the user sets once for all files: which server to use, and how it is set up. Imports bpy."""

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty

from ..keymap import draw_keys
from ..live import switch as live
from ..preferences import PACKAGE
from ..server.setup import manager
from .setup_panel import draw_setup

BUILD_ITEMS = (
    (
        "auto",
        "Automatic",
        "Whatever this machine has: an NVIDIA, AMD or Apple GPU, or the CPU",
    ),
    ("cuda130", "CUDA 13.0", "NVIDIA, driver 580 or newer, from the GTX 16 and RTX 20 series on"),
    ("cuda129", "CUDA 12.9", "NVIDIA, driver 525 or newer, newest GPUs"),
    ("cuda126", "CUDA 12.6", "NVIDIA, driver 525 or newer, older GPUs too"),
    ("rocm", "ROCm 7.2", "AMD, on Linux"),
    ("cpu", "CPU", "Any machine; slower, and a small download"),
    ("pip", "pip's Own Choice", "The build that pip's own configuration leads to"),
)


WEBSITE = "https://extensions.blender.org/add-ons/draftglass/"
"""Also in the manifest."""
BUGS = f"{WEBSITE}reviews/"


def _changed(_preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    """What failed under the old settings says nothing of the new ones, and the next try is by the new ones."""
    manager.problem = None
    live.take_address()


class DraftglassPreferences(bpy.types.AddonPreferences):
    """Which server to use, for all files."""

    bl_idname = PACKAGE

    server_url: StringProperty(
        name="Server",
        description="Address of a running server, such as ws://127.0.0.1:8765/live; "
        "leave empty to start one on this machine",
        default="",
        update=_changed,
    )
    token: StringProperty(
        name="Token",
        description="The token from that server's token file; for a server on another machine",
        default="",
        subtype="PASSWORD",
        update=_changed,
    )
    token_file: StringProperty(
        name="Token File",
        description="The file that the server wrote its token to; for a server on this machine",
        default="",
        subtype="FILE_PATH",
        update=_changed,
    )
    server_python: StringProperty(
        name="Server's Python",
        description="A Python that has the server's requirements installed; "
        "leave empty to use the one that was set up here",
        default="",
        subtype="FILE_PATH",
        update=_changed,
    )
    models_dir: StringProperty(
        name="Your Models",
        description="A folder with checkpoints, LoRAs and controls of your own, such as ComfyUI's models folder; "
        "empty is draftglass/models in your home folder. Takes effect the next time live starts",
        default="",
        subtype="DIR_PATH",
    )
    idle_minutes: FloatProperty(
        name="Release Memory After",
        description="Minutes without a picture after which the server releases the model's memory, for rendering, "
        "say; the next picture loads it again. 0 means never. Takes effect the next time live starts",
        default=10.0,
        min=0.0,
        soft_max=120.0,
        max=1440.0,
        precision=1,
    )
    pictures_dir: StringProperty(
        name="Pictures",
        description="The folder for pictures and videos of files that are not saved yet; empty is Draftglass in your "
        "own folder for pictures",
        default="",
        subtype="DIR_PATH",
    )
    build: EnumProperty(
        name="PyTorch",
        description="The build of PyTorch that the setup downloads",
        items=BUILD_ITEMS,
        default="auto",
        update=_changed,
    )
    pip_options: StringProperty(
        name="Extra pip Arguments",
        description="For an index of your own, a proxy, or a folder of wheels: --no-index --find-links FOLDER",
        default="",
        update=_changed,
    )
    requirements: StringProperty(
        name="Other Requirements",
        description="A list of requirements in place of the one that comes with the extension",
        default="",
        subtype="FILE_PATH",
        update=_changed,
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Lay out the preferences."""
        layout = self.layout
        layout.use_property_split = True
        draw_setup(layout, context)
        draw_address(layout, self)
        column = layout.column(heading="Server on this machine")
        column.active = not self.server_url
        column.prop(self, "models_dir", placeholder="draftglass/models in your home folder")
        column.prop(self, "idle_minutes", text="Release Memory After Minutes")
        column.prop(self, "build")
        column.prop(self, "pip_options")
        column.prop(self, "requirements")
        column.prop(self, "server_python")
        layout.prop(self, "pictures_dir", placeholder="Draftglass in your folder for pictures")
        row = layout.row()
        row.operator("wm.url_open", text="Website", icon="URL").url = WEBSITE
        row.operator("wm.url_open", text="Report a Bug", icon="URL").url = BUGS
        draw_keys(layout, context)


def draw_address(layout: bpy.types.UILayout, chosen: DraftglassPreferences) -> None:
    """The fields for a server that runs already."""
    column = layout.column()
    column.prop(chosen, "server_url", placeholder="this machine")
    if chosen.server_url:
        column.prop(chosen, "token")
        column.prop(chosen, "token_file")


CLASSES = (DraftglassPreferences,)
