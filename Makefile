# Everything runs in a virtual environment of its own, made here from any Python 3.11 to 3.13.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# The real pictures and weights, where they are at hand: tests that want them skip otherwise.
export TOPWORK_REAL
# The tests start hundreds of processes: without stored bytecode each would compile topwork again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-full test-backends test-backends-setup lint benchmark clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[tensorflow,weights,dev]"
	touch $@

demo: setup
	sh docs/demo.sh $(BIN)

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-full: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m full -p tests.selection

# Keras on JAX and on torch, each in an environment of its own, where TensorFlow is not installed.
test-backends: test-jax test-torch

test-%: $(VENV)-%/.ready
	KERAS_BACKEND=$* $(VENV)-$*/bin/python -m pytest tests/test_backends.py

test-backends-setup: $(VENV)-jax/.ready $(VENV)-torch/.ready

$(VENV)-%/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-$*/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[$*]" pytest
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(VENV)-jax $(VENV)-torch build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
