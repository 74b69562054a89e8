# What one types here. Longer stories are in tools/.
.PHONY: setup demo check test format lock clean

setup:   ## the virtual environment .venv, with everything pinned and hashed
	@tools/setup.sh

demo: setup  ## everything on this machine, from one command
	@.venv/bin/plane demo

check: setup  ## what CI checks before it tests
	@tools/check.sh

test: setup  ## every test, with real parts that it starts itself
	@tools/test.sh

format: setup
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

lock:    ## requirements/*.txt anew from *.in
	@tools/lock.sh

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
