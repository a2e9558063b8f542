# Two commands: `make demo` starts the platform with an example, `make run` without one. The rest is for developers.
# PYTHON=/path/to/python chooses the interpreter; otherwise the first CPython 3.10-3.13 found is taken.

export PYTHON
.PHONY: demo demo-distributed run server dev training test lint lock clean

demo: server
	@exec .venv/bin/python manage.py up --demo

# The machine is shown as two nodes when its target is made, at the first start.
demo-distributed: server
	@TRAINHOUSE_LOCAL_NODES=$${TRAINHOUSE_LOCAL_NODES:-2} exec .venv/bin/python manage.py up --demo distributed

run: server
	@exec .venv/bin/python manage.py up

server dev training:
	@command -v python3 >/dev/null || { echo "There is no python3 on the PATH. Install CPython 3.10 to 3.13."; exit 1; }
	@python3 requirements/install.py $@ >/dev/null

# Everything that is checked. One part of it: make test ARGS="tests/config -k port"
test: lint training
	.venv/bin/python -m pytest $(ARGS)

lint: dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	PYTHONPATH=platform:sdk:. .venv/bin/lint-imports --no-logo
	.venv/bin/mypy

lock: dev
	.venv/bin/python requirements/lock.py $(ARGS)

# The checkout only: the data folder is left alone.
clean:
	rm -rf .venv .venv-training .venv-horovod .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
