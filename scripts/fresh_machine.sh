#!/usr/bin/env bash
# Run a command as on a machine with Python, pip, bash and git only:  bash scripts/fresh_machine.sh COMMAND ...
# PATH becomes a folder of links that leaves out what tests use when it is there: browsers, keyring, D-Bus, OpenSSH, rclone.
set -euo pipefail
bare="$(mktemp -d)"
trap 'rm -rf "$bare"' EXIT
IFS=: read -ra folders <<<"$PATH"
for folder in "${folders[@]}"; do
  [ ! -e "$folder/../pyvenv.cfg" ] || continue   # an environment somebody stands in; a link to its python is not it
  for program in "$folder"/*; do
    name="${program##*/}"
    case "$name" in
      chrom* | *browser* | firefox* | google-chrome* | xdg-* | dbus-* | gnome-* | secret-tool | kwallet* | ssh | ssh-* | rclone) ;;
      *) [ -x "$program" ] && [ ! -e "$bare/$name" ] && ln -s "$program" "$bare/$name" ;;
    esac
  done
done
unset DBUS_SESSION_BUS_ADDRESS DISPLAY WAYLAND_DISPLAY BROWSER SSH_AUTH_SOCK
PATH="$bare" "$@"
