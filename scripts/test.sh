#!/usr/bin/env bash
# Set up and pass the tests:  bash scripts/test.sh [--fast | pytest arguments]
# With no arguments: lint and types beside the default suite. With --fast: the pure wings and the rules of the package, no
# process started, in seconds. With other arguments: only pytest, with them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment dev

# Thousands of small files, each made durable: in memory where there is room, which takes a third of the time off.
if [ -z "${TMPDIR:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -gt $((4 * 1024 * 1024)) ] 2>/dev/null; then
  TMPDIR="$(mktemp -d /dev/shm/huracan-tests.XXXXXX)" && trap 'rm -rf "$TMPDIR"' EXIT && export TMPDIR
fi

# Tests wait as much as they compute: for servers, for processes, for time to pass. More workers gain nothing: each costs
# some five seconds of computing, to collect the tests, start an emulator and import what commands need.
cores="$(getconf _NPROCESSORS_ONLN)"
export PYTEST_XDIST_AUTO_NUM_WORKERS="${PYTEST_XDIST_AUTO_NUM_WORKERS:-$((2 * cores))}"
if [ "${1:-}" = --fast ]; then
  shift
  pure=(tests/{tree,manifest,reader,signing,remote,disk,transfer,house,contract/vectors} tests/test_errors.py)
  set -- --fast -q -n "$cores" --dist worksteal "$@" "${pure[@]}"
elif [ $# -eq 0 ]; then
  # Beside the tests, which leave a core free at their begin and at their end; told of when they have ended.
  said="$(mktemp)"
  bash scripts/lint.sh >"$said" 2>&1 &
  lint=$!
  set -- -n auto --dist worksteal
fi
code=0
python -m pytest "$@" || code=$?
if [ -n "${lint:-}" ]; then
  wait "$lint" || { code=$?; echo "lint:"; }
  cat "$said"
  rm -f "$said"
fi
exit "$code"
