#!/usr/bin/env bash
# Mutation testing, by name:  bash scripts/mutate.sh                  every mutant that was not judged yet
#                             bash scripts/mutate.sh NAME ...         these again (globs: "huracan_sync.tree.plan.*")
#                             bash scripts/mutate.sh --survivors      the changes that no test noticed, as diffs
# What is mutated, and by which tests it is judged, is in pyproject.toml ([tool.mutmut]); what survives and why, in
# huracan_sync/docs/decisions/mutation-testing.md. A mutant is a fork of one process that has everything loaded. The
# tests of its own module judge it (scripts/own_tests.py), about a second; what survives them, all tests that reach it.
# The verdicts are kept in mutants/; delete it to begin again. CHILDREN=n runs so many at once.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment mutate

stats=mutants/mutmut-stats.json
survivors() { mutmut results | sed -n 's/^ *\(.*\): \(survived\|no tests\)$/\1/p'; }
judge() { nice -n 10 mutmut run --max-children "${CHILDREN:-1}" "$@"; }

if [ "${1:-}" = --survivors ]; then
  survivors | while read -r name; do mutmut show "$name" | sed '1d'; done
  exit
fi
# Each test makes small files durable: in memory where there is room.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then
  TMPDIR="$(mktemp -d /dev/shm/huracan-mutate.XXXXXX)" && trap 'rm -rf "$TMPDIR"' EXIT && export TMPDIR
fi
if [ $# -gt 0 ]; then
  judge "$@"
else
  [ -f "$stats" ] || judge no.such.mutant >/dev/null 2>&1 || true   # which test reaches which function
  all="$(mktemp)"   # not in mutants/: a mutant of what tidies a folder has deleted it there
  cp "$stats" "$all"
  python scripts/own_tests.py "$stats"
  judge
  mv "$all" "$stats"
  mapfile -t left < <(survivors)
  [ ${#left[@]} -eq 0 ] || judge "${left[@]}"
fi
printf '%s mutants survived\n' "$(survivors | wc -l)"
