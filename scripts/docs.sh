#!/usr/bin/env bash
# Build the documentation as a site, with the rendered reference and search:  bash scripts/docs.sh [FOLDER]
# (default: build/site). Open FOLDER/index.html through any web server; nothing is loaded from elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment docs
target="$(realpath -m "${1:-build/site}")"
rm -rf build/docs && mkdir -p build/docs
python scripts/docs_pages.py build/docs/pages
cp scripts/mkdocs.yml build/docs/
(cd build/docs && zensical build --strict --config-file mkdocs.yml >log 2>&1) || { cat build/docs/log; exit 1; }
rm -rf "$target" && mkdir -p "$(dirname "$target")" && cp -r build/docs/site "$target"
echo "the site is in $target/index.html"
