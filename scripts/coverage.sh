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
rooms="huracan_sync/signed/*,huracan_sync/manifest/refusals.py,huracan_sync/reader/*,huracan_sync/reader/trust_store.py,huracan_sync/hamilton.py"
coverage run --branch --include="$rooms" -m pytest -q -p no:cacheprovider -m "not long and not peers" tests/signed tests/reader
coverage report --show-missing --fail-under=100
