# make reproduce [PAPER=c_mixup] [VARIANT=airfoil] [FLAGS="--seeds=5"]
# make test | faults | lint | tables | report | clean
PYTHON ?= python3
PAPER ?= c_mixup
VARIANT ?=
FLAGS ?=
BIN = .venv/bin
READY = .venv/ready

.PHONY: reproduce test faults lint tables report clean

reproduce: $(READY)
	$(BIN)/python -m experiments.$(PAPER) \
	  --config=configs/$(PAPER).py$(if $(VARIANT),:$(VARIANT)) $(FLAGS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Kills a run 200 times at random moments: half an hour.
faults: $(READY)
	ASSAY_KILLS=200 $(BIN)/python -m pytest -s tests/test_faults.py

lint: $(READY)
	$(BIN)/ruff check .

# The tables of README.md and results/*/README.md from the committed rows.
tables: $(READY)
	$(BIN)/python -m assay.results results/* --into=README.md \
	  $(patsubst %,--into=%,$(wildcard results/*/README.md)) $(FLAGS)

# A website of all papers from the committed rows, in site/.
report: $(READY)
	$(BIN)/python -m assay.site results --out=site

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
