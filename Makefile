# What one types here. Longer stories are in tools/.
.PHONY: setup demo check test bench-control bench-drone bench-proxy format lock clean

setup:   ## the virtual environment .venv, with everything pinned and hashed
	@tools/setup.sh

demo: setup  ## everything on this machine, from one command
	@.venv/bin/plane demo

check: setup  ## what CI checks before it tests
	@tools/check.sh

test: setup  ## every test, with real parts that it starts itself
	@tools/test.sh

bench-control: setup  ## connect and status, beside a straightforward implementation
	.venv/bin/python -m benchmarks.connect

bench-drone: setup  ## from order to started, beyond the engine's own time
	.venv/bin/python -m benchmarks.drone_start

bench-proxy: setup  ## beside nginx: apt-get install nginx-light wrk
	.venv/bin/python -m benchmarks.proxy

format: setup
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

lock:    ## requirements/*.txt anew from *.in
	@tools/lock.sh

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
