#!/usr/bin/env bash
# Build the documentation as a site, with the rendered reference and search:  bash scripts/docs.sh [FOLDER]
# (default: build/site). Open FOLDER/index.html through any web server; nothing is loaded from elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment docs
target="$(realpath -m "${1:-build/site}")"
python scripts/docs_pages.py build/pages
export NO_MKDOCS_2_WARNING=1
mkdocs build --quiet --strict --config-file scripts/mkdocs.yml --site-dir "$target"
echo "the site is in $target/index.html"
