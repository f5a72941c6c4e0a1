#!/usr/bin/env bash
# Fuzz the parsers of signed data:  bash scripts/fuzz.sh [head|trust|body|armor|all] [RUNS]
# Needs an environment of its own (atheris). Only refusals may escape, and memory stays bounded.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment fuzz
targets="${1:-all}"
[ "$targets" = all ] && targets="head trust body armor"
for target in $targets; do
  echo "== $target: ${2:-100000} runs"
  # libFuzzer ends with 0 only when all runs were made and nothing was found.
  python tests/contract/fuzz/fuzz_manifest.py "$target" "${2:-100000}" -rss_limit_mb=2048 -max_len=1024 -len_control=0 \
    -verbosity=0 -artifact_prefix="${TMPDIR:-/tmp}/fuzz-$target-" 2> >(grep -vE '^(INFO|WARNING|"|###)' >&2)
done
