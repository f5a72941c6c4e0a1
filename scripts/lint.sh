#!/usr/bin/env bash
# Lint, format, types, dead code:  bash scripts/lint.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment dev
ruff check --quiet .
ruff format --check --quiet .
vulture &   # what nothing calls; the allow-list is in pyproject.toml, with its reasons
mypy --no-error-summary
wait $!
