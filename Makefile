# make reproduce [PAPER=c_mixup] [VARIANT=airfoil] [FLAGS="--seeds=5"]
# make test | nightly | faults | benchmarks | lint | tables | report | docs | clean
# make gpu [MINUTES=9]
PYTHON ?= python3
PAPER ?= c_mixup
VARIANT ?=
FLAGS ?=
MINUTES ?= 9
BIN = .venv/bin
READY = .venv/ready

.PHONY: reproduce test nightly faults benchmarks gpu lint tables report docs \
  clean

reproduce: $(READY)
	$(BIN)/python -m experiments.$(PAPER) \
	  --config=configs/$(PAPER).py$(if $(VARIANT),:$(VARIANT)) $(FLAGS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# All long forms: what a run owes asked of every paper, notebooks in full, dry
# runs at published size, what is kept trained again, the promises on faults.
nightly: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --all
	$(BIN)/python -m assay fits verify
	for paper in c_mixup calibration_overview gpicl; do \
	  $(BIN)/python -m experiments.$$paper --fresh --quiet \
	    --config=configs/$$paper.py:smoke --workdir=$$(mktemp -d) || exit; \
	done
	$(MAKE) faults

# The promises of docs/reliability.md, in their long form: half an hour.
faults: $(READY)
	$(BIN)/python -m benchmarks.reliability --into=docs/reliability.md $(FLAGS)

# The tables of docs/performance.md, measured on a quiet machine, and those of
# docs/statistics.md, simulated.
benchmarks: $(READY)
	for name in scaling calls convolutions in_context meta tiny_lm fits \
	    stores; do \
	  $(BIN)/python -m benchmarks.$$name --into=docs/performance.md || exit; \
	done
	$(BIN)/python -m benchmarks.statistics --into=docs/statistics.md

# What a GPU at hand for MINUTES is worth using for, in this order; again: goes
# on. Without an installation, where python3 has jax and ml_collections.
gpu:
	PYTHONPATH=lib:$$PYTHONPATH $(or $(wildcard $(BIN)/python),$(PYTHON)) \
	  -m benchmarks.gpu_queue --minutes=$(MINUTES) $(FLAGS)

lint: $(READY)
	$(BIN)/ruff check .

# The tables of README.md, of results/ and of a family's page from the committed
# rows.
tables: $(READY)
	$(BIN)/python -m assay results $(wildcard results/*/) --into=README.md \
	  --into=docs/tiny_language_models.md \
	  $(patsubst %,--into=%,$(wildcard results/README.md results/*/README.md)) \
	  $(FLAGS)

# A website of all papers from the committed rows, in site/.
report: $(READY)
	$(BIN)/python -m assay site results --out=site

# Pages of the library from its docstrings, in out/api/. JAX and optax annotate
# some fields with names that exist for their type checkers alone.
docs: $(READY)
	$(BIN)/python -W 'ignore:Error parsing type annotation' -m pdoc \
	  --docformat google --output-directory out/api assay
	@echo 'Written: open out/api/index.html in a browser.'

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if \
	  (3, 11) <= v <= (3, 12) else "Assay needs Python 3.11 or 3.12, this is \
	  %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[test]'
	touch $@

clean:
	rm -rf .venv out site
