"""Which room of the project may import what. Standard library only; ``test_layers`` holds the sources to it."""

from dataclasses import dataclass

BLENDER = frozenset({"bpy", "bpy_extras", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "bl_ext", "addon_utils"})
HUB = frozenset({"huggingface_hub", "httpx2", "tqdm"})  # httpx2: what huggingface_hub asks with
MODELS = frozenset("torch diffusers transformers tokenizers peft safetensors accelerate huggingface_hub".split())
THREADS = frozenset({"threading", "_thread", "concurrent", "multiprocessing", "queue", "asyncio"})
SOCKETS = frozenset({"socket", "socketserver", "select", "selectors", "ssl", "http", "websockets", "httpx", "requests"})
SERVER = frozenset({"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"})
FILES = frozenset("os io pathlib shutil tempfile subprocess signal sys logging mmap glob".split())
PICKLES = frozenset({"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"})
# The modules of websockets that do I/O of their own, by threads or by asyncio.
IO_OF_WEBSOCKETS = ("websockets.sync", "websockets.asyncio", "websockets.legacy", "websockets.server")


@dataclass(frozen=True)
class Layer:
    """What the modules under ``path`` may import: packages of others, parts of ours; and what of all they may not."""

    path: str
    others: frozenset[str]
    ours: tuple[str, ...]
    forbidden: frozenset[str] = PICKLES


NUMPY = frozenset({"numpy"})
NO_BPY = ("addon.wire", "addon.geometry", "addon.transport", "addon.problems", "addon.live")
SERVER_ROOMS = ("server", "server.net", "server.serving", "server.engine", "server.catalogue")
# The longest path that fits a module is its layer.
LAYERS = (
    Layer("addon/__init__.py", frozenset(), ("addon.blender",), THREADS | SOCKETS | FILES | PICKLES),
    Layer("addon/version.py", frozenset(), ()),
    Layer("addon/untrusted", frozenset(), ("addon.untrusted",), THREADS | SOCKETS | PICKLES),
    Layer(
        "addon/wire", NUMPY, ("addon.untrusted", "addon.wire"), THREADS | SOCKETS | FILES | PICKLES | {"time", "urllib"}
    ),
    Layer("addon/geometry", NUMPY, ("addon.geometry",), THREADS | SOCKETS | FILES | PICKLES),
    Layer("addon/problems", frozenset(), ("addon.problems",), THREADS | SOCKETS | PICKLES),
    Layer(
        "addon/transport",
        NUMPY | {"simplejpeg", "websockets"},
        ("addon.transport", "addon.problems", "addon.untrusted", "addon.wire"),
        THREADS | PICKLES | {"subprocess"},
    ),
    Layer("addon/live", NUMPY, NO_BPY, THREADS | PICKLES | {"subprocess"}),
    Layer("addon/keeping", NUMPY, ("addon.keeping", "addon.untrusted", "addon.wire"), THREADS | SOCKETS | PICKLES),
    Layer("addon/presets", frozenset(), ("addon.presets", "addon.untrusted"), THREADS | SOCKETS | PICKLES),
    # Its work is done in processes of its own.
    Layer("addon/setup", frozenset(), ("addon.setup", "addon.problems"), SOCKETS | PICKLES),
    Layer(
        "addon/blender",
        NUMPY | BLENDER | {"rna_keymap_ui"},
        ("addon.version", "addon.blender", "addon.keeping", "addon.presets", "addon.setup", "addon.untrusted", *NO_BPY),
        THREADS | SOCKETS | PICKLES,
    ),
    Layer(
        "addon/headless",
        NUMPY | {"tqdm", "PIL"},
        ("addon.version", "addon.headless", "addon.blender", *NO_BPY),
        SOCKETS | PICKLES | (THREADS - {"threading", "queue"}),
    ),
    Layer("addon/__main__.py", frozenset(), ("addon.headless",), THREADS | SOCKETS | PICKLES),
    Layer(
        "server",
        NUMPY,
        ("addon.version", "addon.problems", "server", *SERVER_ROOMS),
    ),
    Layer(
        "server/net",
        NUMPY | SERVER,
        ("addon.version", "addon.problems", "addon.transport", "addon.wire", *SERVER_ROOMS),
    ),
    Layer(
        "server/serving",
        NUMPY | {"prometheus_client"},
        ("addon.wire", "addon.problems", "server.serving", "server.engine", "server.catalogue"),
        SOCKETS | PICKLES,
    ),
    Layer(
        "server/catalogue",
        HUB | {"yaml"},
        (
            *("addon.version", "addon.problems", "addon.untrusted", "addon.wire"),
            *("server", "server.engine", "server.catalogue"),
        ),
        THREADS - {"_thread", "threading"} | SOCKETS,
    ),
    Layer(
        "server/engine",
        NUMPY | MODELS | {"PIL", "compel", "psutil", "yaml"},
        ("addon.wire", "addon.geometry", "addon.problems", "addon.untrusted", "server.engine"),
        THREADS - {"threading"} | SOCKETS | PICKLES,
    ),
    # What builds and measures the project; never in the zip.
    Layer(
        "tools",
        NUMPY | MODELS | BLENDER | {"PIL"},
        (
            "addon",
            "addon.live",
            "addon.presets",
            "addon.wire",
            "server",
            "server.engine",
            "tools",
            "tools.contact_sheets",
        ),
    ),
    Layer(
        "tools/contact_sheets",
        NUMPY | BLENDER | {"tqdm", "PIL"},
        (
            "addon.live",
            "addon.presets",
            "addon.wire",
            "addon.blender",
            "server.engine",
            "tools.contact_sheets",
            "tools.training",
        ),
    ),
    Layer(
        "tools/training",
        NUMPY | MODELS | {"PIL", "tqdm"},
        ("addon.live", "addon.wire", "server", "server.engine", "tools.training"),
        SOCKETS | PICKLES,
    ),
    # It measures the whole way of a frame, so that it may use both ends of it.
    Layer(
        "tools/bench",
        NUMPY | MODELS | {"PIL", "prometheus_client", "psutil", "simplejpeg", "streamdiffusion", "torchvision"},
        ("addon.headless", *NO_BPY, "tools.bench", *SERVER_ROOMS),
        SOCKETS | PICKLES,
    ),
    # As above, and its drafts come from Blender; the classifier that judges training's pictures judges these.
    Layer(
        "tools/bench/steady",
        NUMPY | BLENDER | {"PIL"},
        (
            "addon.blender",
            "addon.wire",
            "addon.geometry",
            "addon.live",
            "server.engine",
            "tools.bench",
            "tools.training",
        ),
        SOCKETS | PICKLES,
    ),
    # Its pictures come from Blender, drawn by the very code that draws the drafts.
    Layer(
        "tools/training/render",
        NUMPY | BLENDER | {"PIL", "tqdm"},
        ("addon.wire", "addon.blender", "tools.training"),
        SOCKETS | PICKLES,
    ),
)
# Within the two rooms that have rooms of their own: which of its neighbours each may import. What lies beside them,
# such as errors, may be imported by all, and may import what it likes: there they are put together.
NEIGHBOURS = {
    "addon/blender/capture": {"display"},  # which of the images are our own
    "addon/blender/display": {"capture", "live"},
    "addon/blender/export": {"capture"},
    "addon/blender/film": {"capture", "live", "pictures", "server", "ui"},
    "addon/blender/live": {"capture", "display", "server", "stick"},
    "addon/blender/pictures": {"capture", "live", "server"},
    "addon/blender/scene_file": {"capture", "display", "export", "stick"},
    "addon/blender/server": set(),
    "addon/blender/stick": {"capture"},
    "addon/blender/stick_ui": {"capture", "live", "stick"},
    "addon/blender/ui": {"capture", "display", "live", "pictures", "server"},
    "server/engine/acceleration": {"sampling"},
    "server/engine/conditioning": {"acceleration", "loading", "sampling"},
    "server/engine/loading": {"loras", "sampling"},
    "server/engine/loras": {"loading"},
    "server/engine/sampling": {"acceleration"},
}
