"""Who may import what: blender -> live -> wire <- server -> engine. Reads the sources; imports nothing of ours here."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300

BLENDER = frozenset({"bpy", "bpy_extras", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "bl_ext", "addon_utils"})
HUB = frozenset({"huggingface_hub", "tqdm"})
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
# The longest path that fits a module is its layer.
LAYERS = (
    Layer("addon/__init__.py", frozenset(), ("addon.blender",), THREADS | SOCKETS | FILES | PICKLES),
    Layer("addon/wire", NUMPY, ("addon.wire",), THREADS | SOCKETS | FILES | PICKLES | {"time", "urllib"}),
    # How planes get to the other end beside the socket.
    Layer("addon/planes", NUMPY | {"simplejpeg"}, ("addon.planes", "addon.wire"), THREADS | SOCKETS | PICKLES),
    Layer(
        "addon/live",
        NUMPY | {"websockets"},
        ("addon", "addon.live", "addon.planes", "addon.wire"),
        THREADS | PICKLES | {"subprocess"},
    ),
    Layer("addon/keeping", NUMPY, ("addon.keeping", "addon.wire"), THREADS | SOCKETS | PICKLES),
    Layer("addon/presets", frozenset(), ("addon.presets",), THREADS | SOCKETS | PICKLES),
    # Its work is done in processes of its own.
    Layer("addon/setup", frozenset(), ("addon.setup",), SOCKETS | PICKLES),
    Layer(
        "addon/blender",
        NUMPY | BLENDER | {"rna_keymap_ui"},
        ("addon", "addon.blender", "addon.keeping", "addon.live", "addon.presets", "addon.setup", "addon.wire"),
        THREADS | SOCKETS | PICKLES,
    ),
    Layer(
        "addon/headless",
        NUMPY | {"tqdm", "PIL"},
        ("addon", "addon.headless", "addon.blender", "addon.live", "addon.wire"),
        SOCKETS | PICKLES | (THREADS - {"threading", "queue"}),
    ),
    Layer("addon/__main__.py", frozenset(), ("addon", "addon.headless"), THREADS | SOCKETS | PICKLES),
    Layer(
        "server", NUMPY | SERVER, ("addon", "addon.planes", "addon.wire", "server", "server.engine", "server.catalogue")
    ),
    Layer("server/catalogue", HUB, ("addon.wire", "server", "server.engine", "server.catalogue"), THREADS | SOCKETS),
    Layer(
        "server/engine",
        NUMPY | MODELS | {"PIL", "compel", "psutil"},
        ("addon.wire", "server.engine"),
        THREADS - {"threading"} | SOCKETS | PICKLES,
    ),
    Layer(
        "server/training",
        NUMPY | MODELS | {"PIL", "tqdm"},
        ("addon.wire", "server.training", "server.engine"),
        SOCKETS | PICKLES,
    ),
    # It measures the whole way of a frame, so that it may use both ends of it.
    Layer(
        "server/bench",
        NUMPY | MODELS | {"PIL", "prometheus_client", "psutil", "simplejpeg", "streamdiffusion", "torchvision"},
        tuple("addon.headless addon.live addon.planes addon.wire server".split())
        + tuple("server.bench server.catalogue server.engine".split()),
        SOCKETS | PICKLES,
    ),
    # Its pictures come from Blender, drawn by the very code that draws the drafts.
    Layer(
        "server/training/render",
        NUMPY | BLENDER | {"PIL", "tqdm"},
        ("addon.wire", "addon.blender", "server.training"),
        SOCKETS | PICKLES,
    ),
)


def modules() -> list[str]:
    found = [path for package in ("addon", "server") for path in (ROOT / package).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def layer_of(module: str) -> Layer:
    fits = [layer for layer in LAYERS if f"{module}/".startswith(f"{layer.path}/") or is_named(module, layer.path)]
    assert fits, f"{module} belongs to no layer: say in LAYERS what it may import"
    return max(fits, key=lambda layer: len(layer.path))


def is_named(module: str, path: str) -> bool:
    # render.py, render_scene.py, render/...: all of them are the layer "server/training/render"
    return path == "server/training/render" and module.startswith(path)


def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def imports(module: str) -> Iterator[tuple[str, int]]:
    """The full name and line of everything that ``module`` imports, wherever in it, dynamic imports too."""
    package = module.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name, node.lineno
            yield from ((f"{name}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("__import__", "importlib.import_module", "import_module"):
            first = node.args[0] if node.args else None
            assert isinstance(first, ast.Constant), f"{module}:{node.lineno} imports what nobody can read off"
            yield str(first.value), node.lineno


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def test_the_rules_see_what_is_there() -> None:
    """Without this, a moved folder would let every test below pass over nothing."""
    found = modules()
    assert {"addon/wire/codec.py", "addon/live/loop.py", "addon/blender/capture.py", "server/app.py"} <= set(found)
    assert "addon.wire.errors.ProtocolError" in dict(imports("addon/wire/codec.py"))
    assert {"torch", "bpy", "websockets.client", "fastapi"} <= {name for module in found for name, _ in imports(module)}


@pytest.mark.parametrize("module", modules())
def test_imports_stay_in_their_layer(module: str) -> None:
    layer = layer_of(module)
    for name, line in imports(module):
        top, where = name.split(".")[0], f"{module}:{line} imports {name}"
        if top in ("addon", "server"):
            part = ".".join(name.split(".")[:2])
            ours = {known for known in layer.ours if known.count(".") == 1}
            parts_of_root = {known for other in LAYERS for known in other.ours if known.count(".") == 1}
            allowed = part in ours or (part not in parts_of_root and top in layer.ours)
            assert allowed, f"{where}: not {layer.path}'s to use"
        else:
            assert top in layer.others or top in sys.stdlib_module_names, f"{where}: not among {sorted(layer.others)}"
            assert top not in layer.forbidden - layer.others, f"{where}: no {layer.path} may"
        assert not name.startswith(IO_OF_WEBSOCKETS), f"{where}: only the I/O-free core is for polling"


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith("addon/")])
def test_the_add_on_names_itself_relatively(module: str) -> None:
    """Inside Blender the package is called bl_ext.user_default.draftglass.addon, and there is no ``addon``."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] != "addon", f"{module}:{node.lineno}"
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "addon" for alias in node.names), f"{module}:{node.lineno}"


@pytest.mark.parametrize("module", [name for name in modules() if name.startswith(("addon/live", "addon/blender"))])
def test_nothing_waits_in_the_heartbeat(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call):
            name = called(node).split(".")[-1]
            assert name not in ("sleep", "Thread", "Timer", "join_thread"), f"{module}:{node.lineno}"
    assert "time.sleep" not in dict(imports(module))


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith("addon/wire")])
def test_the_wire_does_no_io(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call):
            assert called(node) not in ("open", "print", "input", "exec", "eval"), f"{module}:{node.lineno}"


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith(("addon/", "server/"))])
def test_nothing_loads_pickles(module: str) -> None:
    if module.startswith("server/training"):  # its own checkpoints, on the machine that wrote them
        return
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call):
            assert called(node) != "torch.load", f"{module}:{node.lineno}: models are safetensors"


RESTRICTION = re.compile(
    r"\b([Nn]o|only|[Oo]nly|[Ii]mports|[Nn]othing|torch|numpy|asyncio|FastAPI|Sockets|Standard library)\b"
)


@pytest.mark.parametrize("module", modules())
def test_the_first_line_states_the_restriction_and_keeps_it(module: str) -> None:
    docstring = ast.get_docstring(tree_of(module))
    assert docstring, f"{module} has no docstring"
    line = docstring.splitlines()[0]
    assert RESTRICTION.search(line), f"{module}'s first line says nothing of what it may import: {line!r}"
    tops = {name.split(".")[0] for name, _ in imports(module)}
    foreign = {top for top in tops if top not in sys.stdlib_module_names and top not in ("addon", "server")}
    claims = line.lower()
    if "standard library only" in claims:
        assert not foreign, f"{module} says {line!r}, but imports {sorted(foreign)}"
    if "standard library and numpy only" in claims:
        assert foreign <= NUMPY, f"{module} says {line!r}, but imports {sorted(foreign)}"
    for word, names in {
        r"no bpy\b": BLENDER,
        r"no torch\b": MODELS - {"tokenizers", "safetensors", "huggingface_hub"},  # which do without it
        r"no sockets\b": SOCKETS - {"http"},
        r"no i/o\b": SOCKETS - {"http", "websockets"},  # of which only the I/O-free core may be imported anyway
        r"no threads\b": THREADS,
    }.items():
        lazy = module == "server/__main__.py" and "torch" in names
        if re.search(word, claims) and not lazy:
            assert not tops & names, f"{module} says {line!r}, but imports {sorted(tops & names)}"


def sources() -> list[str]:
    found = [path for part in ("addon", "server", "tests", "scripts") for path in (ROOT / part).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@pytest.mark.parametrize("source", sources())
def test_files_stay_short(source: str) -> None:
    lines = len((ROOT / source).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{source} has {lines} lines, but {LONGEST} are enough for one thing"


def loaded_by(code: str) -> set[str]:
    """The modules in a fresh interpreter that has run ``code`` in the repository's root."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


def tops(loaded: set[str]) -> set[str]:
    return {name.split(".")[0] for name in loaded}


def test_the_wire_really_loads_numpy_and_nothing_that_does_io() -> None:
    before = loaded_by("import numpy, numpy.typing, json, dataclasses, struct, numbers, reprlib")
    new = loaded_by("import addon.wire") - before
    assert {name for name in new if not name.startswith("addon")} == set()
    assert "addon.wire.codec" in new and not tops(new) & (BLENDER | MODELS | SERVER | {"websockets"})


def test_the_live_loop_really_loads_no_bpy_torch_or_server() -> None:
    loaded = loaded_by("import addon.live")
    assert "addon.live.loop" in loaded
    assert not tops(loaded) & (BLENDER | MODELS | SERVER | {"server", "asyncio"})
    assert not [name for name in loaded if name.startswith((*IO_OF_WEBSOCKETS, "addon.blender"))]


def test_the_server_really_starts_without_torch_and_bpy() -> None:
    """Its address is printed at once; importing torch takes seconds, so that comes with loading the model."""
    names = [module[:-3].replace("/", ".") for module in modules() if re.fullmatch(r"server/[^/]+\.py", module)]
    loaded = loaded_by("\n".join(f"import {name.removesuffix('.__init__')}" for name in names))
    assert {"server.app", "server.__main__", "fastapi"} <= loaded
    assert not tops(loaded) & (BLENDER | MODELS)
    assert not [name for name in loaded if name.startswith(("addon.live", "addon.blender"))]


def test_the_engines_errors_and_files_really_load_without_torch() -> None:
    assert not tops(loaded_by("import server.engine, server.engine.errors, server.engine.files")) & (BLENDER | MODELS)


def test_the_root_is_an_extension_under_any_name() -> None:
    """As Blender loads it: from a folder of any name, as a part of another package, with no ``addon`` to be found."""
    code = f"""
import importlib.util, sys, types
sys.path[:] = [entry for entry in sys.path if entry not in ("", {str(ROOT)!r})]
sys.modules["bl_ext"] = types.ModuleType("bl_ext"); sys.modules["bl_ext"].__path__ = []
name = "bl_ext.draftglass"
where = {str(ROOT)!r}
spec = importlib.util.spec_from_file_location(name, where + "/__init__.py", submodule_search_locations=[where])
module = importlib.util.module_from_spec(spec); sys.modules[name] = module; spec.loader.exec_module(module)
assert callable(module.register) and callable(module.unregister)
import bl_ext.draftglass.addon.live, bl_ext.draftglass.addon.wire
"""
    loaded = loaded_by(code)
    assert "bl_ext.draftglass.addon.wire.codec" in loaded
    assert not tops(loaded) & {"addon", "server", "bpy", "torch"}
