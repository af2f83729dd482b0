"""Run by the new environment's Python: imports what was installed and says what it computes with, as one JSON line.

Standard library only by itself; the names of the packages come as arguments.
"""

import importlib.util
import json
import pkgutil
import sys


def main(names: list[str]) -> dict[str, str]:
    """Import each package that is there under its own name; return what computes, or the error."""
    found = {"device": "no PyTorch", "computes_on": ""}
    for name in names:
        module = name.replace("-", "_").lower()
        if importlib.util.find_spec(module) is None:  # its module has another name
            continue
        try:
            loaded = pkgutil.resolve_name(module)
            if module == "torch":
                kind, name = computes_on(loaded)
                found = {"device": f"PyTorch {loaded.__version__} on {name}", "computes_on": kind}
        except Exception as error:
            return {"error": f"{name}: {type(error).__name__}: {' '.join(str(error).split())}"}
    return found


def computes_on(torch) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    """``cuda``, ``mps`` or ``cpu``, and what a person calls it."""
    if torch.cuda.is_available():
        return "cuda", str(torch.cuda.get_device_name(0))
    return ("mps", "the Apple GPU") if torch.backends.mps.is_available() else ("cpu", "the CPU")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
