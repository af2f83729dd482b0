# make demo           sample pictures under demo/, from nothing but Python 3.11
# make test           the plain tests and those in Blender's module; WORKERS=4 for a machine with more than two cores
# make test-blender   the tests in a real Blender; BLENDER=path for one that is installed; slow ones: pytest -m slow
# make bench          our speed beside others', under docs/benchmarks/; BENCH="--quick" for two minutes
# make zip            the extension, under dist/
# make lint           style and types

PYTHON ?= python3.11
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/ready
# --durations: where the time goes
SIDE_BY_SIDE := --numprocesses $(WORKERS) --durations 30 --durations-min 3

.PHONY: demo test test-blender bench zip lint venv machine

venv: $(READY)

# One line for whoever has no Python 3.11, or a machine that lacks a library.
machine:
	@$(PYTHON) -c "" 2>/dev/null || { \
	  echo "Python 3.11 is needed, and $(PYTHON) does not run: install it (apt-get install python3.11 python3.11-venv) or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) tools/make_venv.py --check

$(READY): server/requirements.txt tests/requirements.txt constraints.txt tools/make_venv.py | machine
	@$(PYTHON) tools/make_venv.py

test: machine $(READY)
	$(BIN)/python -m pytest tests/plain tests/bpy -m "not slow" $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder

test-blender: $(READY)
	$(BIN)/python -m pytest tests/blender -v -m "not slow" $(SIDE_BY_SIDE) --dist loadgroup

bench: $(READY)
	$(BIN)/python -m tools.bench $(BENCH)

zip:
	@$(PYTHON) tools/make_zip.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: machine $(READY)
	@$(BIN)/python -m addon docs/demo/castle_town.blend --orbit 24 --size 512 --strength 0.7 --steps 4 --move "watchtower=9.4,1.4,0" \
	  --prompt "a sandstone castle town on grass at noon" \
	  --prompt "a stone brick castle on snow at dawn" \
	  --prompt "a white plaster town on water at noon, watercolor" \
	  --animation --out demo
