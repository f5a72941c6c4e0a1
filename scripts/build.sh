#!/usr/bin/env bash
# Build the sdist and the wheel, twice, and compare; write what the wheel needs as a CycloneDX SBOM:
#   bash scripts/build.sh [FOLDER]     (default: dist)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment build
target="${1:-dist}"
mkdir -p "$target"
# The date in the archives is that of the last commit, so that who builds later gets the same bytes.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}"
export SOURCE_DATE_EPOCH
again="$(mktemp -d)"
trap 'rm -rf "$again"' EXIT
# --no-isolation: the build backend is the pinned one of requirements/build.txt.
python -m build --no-isolation --outdir "$target" . >/dev/null
python -m build --no-isolation --outdir "$again" . >/dev/null
for archive in "$again"/*; do
  cmp "$archive" "$target/${archive##*/}" || { echo "two builds of ${archive##*/} differ" >&2; exit 1; }
done
cyclonedx-py requirements --output-reproducible --of JSON -o "$target/huracan_sync.cdx.json" \
  --pyproject pyproject.toml requirements/runtime.txt 2>/dev/null
(cd "$target" && sha256sum ./*.whl ./*.tar.gz ./*.json)
