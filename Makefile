# Two commands do everything: `make demo` and `make test`. Both install what they need into .venv, through uv.
.PHONY: setup check test demo gates docs soak bench proof lock clean
SHELL := bash
PY := .venv/bin/python
UV := $(shell command -v uv 2>/dev/null || echo .venv/uv/bin/uv)
UV_RUN := UV_PYTHON_DOWNLOADS=never $(UV)

setup: .venv/ready

# The environment is made anew when a requirement changes; what is there already is left alone.
.venv/ready: requirements.lock requirements-dev.lock scripts/setup.sh pyproject.toml
	@bash scripts/setup.sh
	@touch $@

demo: .venv/ready
	@$(PY) -m preceptor demo

check: .venv/ready
	$(PY) -m ruff check src tests examples scripts benchmarks
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m preceptor check
	$(PY) scripts/docs.py --check

test: .venv/ready .venv/student
	$(PY) -m pytest

gates: .venv/ready
	$(PY) -m preceptor.testing gates

docs: .venv/ready
	$(PY) scripts/docs.py

soak: .venv/ready .venv/student
	$(PY) -m pytest -m soak --timeout 3600

# The engine and a bare aiohttp client, turn by turn, in one run: see docs/engine.md.
bench: .venv/ready
	@$(PY) benchmarks/side_by_side.py

# Does it teach? Six arms, one exam; results as found in docs/proof.md. Stopped, the same line goes on; a smaller budget:
# MINUTES=60 make proof INTO=runs/proof-60
MINUTES ?= 120
SEEDS ?= 3
ITEMS ?= 400
INTO ?= runs/proof
DOCUMENTS ?= ../shared/seeds examples/documents
proof: .venv/ready .venv/student
	$(PY) -m preceptor.student.proof --minutes $(MINUTES) --seeds $(SEEDS) --items $(ITEMS) --into $(INTO) --documents $(DOCUMENTS)

# torch and the trainers: outside the hashed lock, the CPU build where it is to be had; tests that need them are
# skipped with the reason where it is not.
.venv/student: .venv/ready scripts/student.sh
	@bash scripts/student.sh
	@touch $@

lock:
	@bash scripts/lock.sh

clean:
	rm -rf .venv build dist runs
