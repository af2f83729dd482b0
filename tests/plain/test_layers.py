"""Who may import what: blender -> live -> wire <- server -> engine. Reads the sources; imports nothing of ours here."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.plain.layers import (
    BLENDER,
    IO_OF_WEBSOCKETS,
    LAYERS,
    MODELS,
    NEIGHBOURS,
    NUMPY,
    SERVER,
    SOCKETS,
    THREADS,
    Layer,
)

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300

MOST_MODULES = 16
"""In one folder: more, and a newcomer finds nothing in it."""


@functools.cache
def modules() -> list[str]:
    found = [path for package in ("addon", "server", "tools") for path in (ROOT / package).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def layer_of(module: str) -> Layer:
    fits = [layer for layer in LAYERS if f"{module}/".startswith(f"{layer.path}/")]
    assert fits, f"{module} belongs to no layer: say in LAYERS what it may import"
    return max(fits, key=lambda layer: len(layer.path))


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


@functools.cache
def imports_with_nodes(module: str) -> list[tuple[str, int, ast.AST]]:
    """The full name, line and node of everything that ``module`` imports, wherever in it, dynamic imports too."""
    return list(find_imports(module))


def find_imports(module: str) -> Iterator[tuple[str, int, ast.AST]]:
    package = module.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name, node.lineno, node
            yield from ((f"{name}.{alias.name}", node.lineno, node) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("__import__", "importlib.import_module", "import_module"):
            first = node.args[0] if node.args else None
            assert isinstance(first, ast.Constant), f"{module}:{node.lineno} imports what nobody can read off"
            yield str(first.value), node.lineno, node


def imports(module: str) -> Iterator[tuple[str, int]]:
    """The full name and line of everything that ``module`` imports."""
    yield from ((name, line) for name, line, _ in imports_with_nodes(module))


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def test_the_rules_see_what_is_there() -> None:
    """Without this, a moved folder would let every test below pass over nothing."""
    found = modules()
    assert {
        "addon/wire/codec.py",
        "addon/live/loop.py",
        "addon/blender/capture/offscreen.py",
        "server/net/app.py",
    } <= set(found)
    assert "addon.wire.errors.ProtocolError" in dict(imports("addon/wire/codec.py"))
    assert {"torch", "bpy", "websockets.client", "fastapi"} <= {name for module in found for name, _ in imports(module)}


def test_imports_stay_in_their_layer() -> None:
    for module in modules():
        layer = layer_of(module)
        for name, line in imports(module):
            top, where = name.split(".")[0], f"{module}:{line} imports {name}"
            if top in ("addon", "server", "tools"):
                part = ".".join(name.split(".")[:2])
                ours = {known for known in layer.ours if known.count(".") == 1}
                parts_of_root = {known for other in LAYERS for known in other.ours if known.count(".") == 1}
                allowed = part in ours or (part not in parts_of_root and top in layer.ours)
                assert allowed, f"{where}: not {layer.path}'s to use"
            else:
                assert top in layer.others or top in sys.stdlib_module_names, (
                    f"{where}: not among {sorted(layer.others)}"
                )
                assert top not in layer.forbidden - layer.others, f"{where}: no {layer.path} may"
            assert not name.startswith(IO_OF_WEBSOCKETS), f"{where}: only the I/O-free core is for polling"


def test_the_add_on_names_itself_relatively() -> None:
    """Inside Blender the package is called bl_ext.user_default.draftglass.addon, and there is no ``addon``."""
    for module in [module for module in modules() if module.startswith("addon/")]:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] != "addon", f"{module}:{node.lineno}"
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "addon" for alias in node.names), f"{module}:{node.lineno}"


def test_nothing_waits_in_the_heartbeat() -> None:
    for module in [name for name in modules() if name.startswith(("addon/live", "addon/blender"))]:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Call):
                name = called(node).split(".")[-1]
                assert name not in ("sleep", "Thread", "Timer", "join_thread"), f"{module}:{node.lineno}"
        assert "time.sleep" not in dict(imports(module))


def test_the_wire_does_no_io() -> None:
    for module in [module for module in modules() if module.startswith("addon/wire")]:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Call):
                assert called(node) not in ("open", "print", "input", "exec", "eval"), f"{module}:{node.lineno}"


def test_nothing_loads_pickles() -> None:
    for module in modules():
        if module.startswith("tools/training"):  # its own checkpoints, on the machine that wrote them
            continue
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Call):
                assert called(node) != "torch.load", f"{module}:{node.lineno}: models are safetensors"


RESTRICTION = re.compile(
    r"\b([Nn]o|only|[Oo]nly|[Ii]mports|[Nn]othing|torch|numpy|asyncio|FastAPI|Sockets|Standard library)\b"
)


def test_the_first_line_states_the_restriction_and_keeps_it() -> None:
    for module in modules():
        docstring = ast.get_docstring(tree_of(module))
        assert docstring, f"{module} has no docstring"
        line = docstring.splitlines()[0]
        assert RESTRICTION.search(line), f"{module}'s first line says nothing of what it may import: {line!r}"
        tops = {name.split(".")[0] for name, _ in imports(module)}
        foreign = {
            top for top in tops if top not in sys.stdlib_module_names and top not in ("addon", "server", "tools")
        }
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
    found = [path for part in ("addon", "server", "tests", "tools") for path in (ROOT / part).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def test_files_stay_short() -> None:
    for source in sources():
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


def imported(module: str) -> set[str]:
    """The modules of ours that ``module`` imports, but for what only a type checker reads."""
    typed = {
        id(inner)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    known = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in modules()}
    found = [(name, id(node)) for name, _, node in imports_with_nodes(module) if name in known]
    # What a module of a package is imported from is not imported by that: "from . import a_module".
    inner = {(name.rpartition(".")[0], node) for name, node in found}
    return {known[name] for name, node in found if node not in typed and (name, node) not in inner} - {module}


def test_no_imports_run_in_circles() -> None:
    """But for addon/__init__.py, which Blender calls: it registers what it holds."""
    reached: dict[str, set[str]] = {module: imported(module) for module in modules() if module != "addon/__init__.py"}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in sorted(reached.get(module, ())):
                visit(other, (*path, module))
            done.add(module)

    for module in reached:
        visit(module, ())


def test_inner_rooms_keep_to_their_neighbours() -> None:
    for module in [name for name in modules() if re.match(r"(addon/blender|server/engine)/\w+/", name)]:
        room, _, inner = "/".join(module.split("/")[:3]).rpartition("/")
        assert f"{room}/{inner}" in NEIGHBOURS, f"{room}/{inner} is new: say in NEIGHBOURS what it may import"
        others = {other.split("/")[2] for other in imported(module) if re.match(rf"{room}/\w+/", other)} - {inner}
        assert others <= NEIGHBOURS[f"{room}/{inner}"], f"{module} may not import from {sorted(others)}"


def test_folders_stay_small() -> None:
    for folder in sorted({module.rpartition("/")[0] for module in modules()}):
        inside = [module for module in modules() if module.rpartition("/")[0] == folder]
        assert len(inside) <= MOST_MODULES, f"{folder} holds {len(inside)} modules"


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
    names = [
        module[:-3].replace("/", ".")
        for module in modules()
        if re.fullmatch(r"server/((net|serving)/)?[^/]+\.py", module)
    ]
    loaded = loaded_by("\n".join(f"import {name.removesuffix('.__init__')}" for name in names))
    assert {"server.net.app", "server.__main__", "fastapi"} <= loaded
    assert not tops(loaded) & (BLENDER | MODELS)
    assert not [name for name in loaded if name.startswith(("addon.live", "addon.blender"))]


def test_the_engines_errors_and_files_really_load_without_torch() -> None:
    assert not tops(loaded_by("import server.engine, server.engine.errors, server.engine.loading.files")) & (
        BLENDER | MODELS
    )


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
