"""Run by the new environment's Python: imports what was installed and says what it computes with, as one JSON line.

Standard library only by itself; the names of the packages come as arguments.
"""

import importlib.util
import json
import pkgutil
import sys


def main(names: list[str]) -> dict[str, str]:
    """Import each package that is there under its own name; return the device in words, or the error."""
    device = "no PyTorch"
    for name in names:
        module = name.replace("-", "_").lower()
        if importlib.util.find_spec(module) is None:  # its module has another name
            continue
        try:
            loaded = pkgutil.resolve_name(module)
            if module == "torch":
                device = f"PyTorch {loaded.__version__} on {computes_on(loaded)}"
        except Exception as error:
            return {"error": f"{name}: {type(error).__name__}: {' '.join(str(error).split())}"}
    return {"device": device}


def computes_on(torch) -> str:  # type: ignore[no-untyped-def]
    """The GPU's name, or "the CPU"."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return "the Apple GPU" if torch.backends.mps.is_available() else "the CPU"


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
