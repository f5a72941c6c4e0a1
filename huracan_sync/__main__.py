"""`python -m huracan_sync` is the command line."""

import sys

from huracan_sync.cli import main

sys.exit(main())
