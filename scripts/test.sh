#!/usr/bin/env bash
# Set up and pass the tests:  bash scripts/test.sh [pytest arguments]
# With no arguments: lint, types, then the default suite. With arguments: only pytest, with them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment dev
if [ $# -eq 0 ]; then
  ruff check --quiet .
  ruff format --check --quiet .
  mypy --no-error-summary
  set -- -n auto --dist worksteal
fi
# Tests wait as much as they compute: for servers, for processes, for time to pass.
PYTEST_XDIST_AUTO_NUM_WORKERS="${PYTEST_XDIST_AUTO_NUM_WORKERS:-$((2 * $(getconf _NPROCESSORS_ONLN)))}"
export PYTEST_XDIST_AUTO_NUM_WORKERS
exec python -m pytest "$@"
