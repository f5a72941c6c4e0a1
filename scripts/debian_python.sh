#!/usr/bin/env bash
# Unpack a newer Python of Debian's into a folder, beside the machine's own, and print its path:
#   bash scripts/debian_python.sh 3.14 FOLDER
# It comes with the C library it was built for, and touches nothing else. Needs apt, a mirror that has it, and patchelf.
set -euo pipefail
version="$1"
folder="$(realpath -m "$2")"
python="$folder/usr/bin/python$version"
if [ ! -x "$python" ]; then
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -1)"
  state="$(mktemp -d)"
  trap 'rm -rf "$state"' EXIT
  for suite in testing unstable; do
    rm -rf "$state"/*
    mkdir -p "$state"/{lists,cache/archives}/partial
    : >"$state/status"   # nothing is installed: so all that it needs comes along
    echo "deb $mirror $suite main" >"$state/sources.list"
    apt=(-qq -o Acquire::Retries=3 -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$state/sources.list"
      -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache"
      -o Dir::State::status="$state/status")
    apt-get "${apt[@]}" update >&2 &&
      apt-get "${apt[@]}" install -y --download-only --no-install-recommends "python$version-venv" >&2 && break
  done
  rm -rf "$folder"
  mkdir -p "$folder"
  for package in "$state"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$folder"
  done
  libraries="$(dirname "$(find "$folder/usr/lib" -name 'ld-linux*.so.*' | head -1)")"
  patchelf --set-interpreter "$libraries"/ld-linux*.so.* --force-rpath --set-rpath "$libraries" "$python"
  # Where `venv` finds pip.
  sed -i "s#/usr/share/python-wheels#$folder/usr/share/python-wheels#" "$folder/usr/lib/python$version"/_sysconfig*
  ln -sf "python$version" "$folder/usr/bin/python3"
fi
"$python" -c 'import ctypes, sqlite3, ssl, zlib'   # it runs
echo "$python"
