#!/usr/bin/env bash
# pandas, Polars, DuckDB, Dask, Ray, zarr and others over dropbox://, for real:  bash scripts/test_data_tools.sh [pytest arguments]
# Installs them in an environment of their own (about 1 GB).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment fs
# What the tools warn of is theirs to mend.
exec python -m pytest -m tools -W default -W "ignore::DeprecationWarning" tests/fs "$@"
