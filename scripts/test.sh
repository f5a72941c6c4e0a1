#!/usr/bin/env bash
# Set up and pass the tests:  bash scripts/test.sh [--fast | pytest arguments]
# With no arguments: lint, types, then the default suite. With --fast: the pure wings and the rules of the package, no
# process started, in seconds. With other arguments: only pytest, with them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment dev
# Tests wait as much as they compute: for servers, for processes, for time to pass.
cores="$(getconf _NPROCESSORS_ONLN)"
export PYTEST_XDIST_AUTO_NUM_WORKERS="${PYTEST_XDIST_AUTO_NUM_WORKERS:-$((2 * cores))}"
if [ "${1:-}" = --fast ]; then
  shift
  pure=(tests/{tree,manifest,reader,signing,remote,disk,transfer,house,contract/vectors} tests/test_errors.py)
  exec python -m pytest --fast -q -n "$cores" --dist loadfile "$@" "${pure[@]}"
fi
if [ $# -eq 0 ]; then
  bash scripts/lint.sh
  set -- -n auto --dist worksteal
fi
exec python -m pytest "$@"
