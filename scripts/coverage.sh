#!/usr/bin/env bash
# Branch coverage of what decides on trust:  bash scripts/coverage.sh      (fails below 100 %)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment dev
data="$(mktemp -d)"
trap 'rm -rf "$data"' EXIT
export COVERAGE_FILE="$data/coverage"
modules="huracan_sync/manifest/*,huracan_sync/reader/*,huracan_sync/hamilton.py"
coverage run --branch --include="$modules" -m pytest -q -p no:cacheprovider -m "not long and not peers" tests/manifest tests/reader tests/signing tests/contract/vectors
coverage report --show-missing --fail-under=100
