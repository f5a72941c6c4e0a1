"""`completion`: print completion for a shell, from the same parser."""

from __future__ import annotations

import argparse

from huracan_sync.cli.columns import Whole
from huracan_sync.cli.invocation import DONE, Invocation

SHELLS = ("bash", "zsh", "fish")
WHERE = """\
bash:
  huracan-sync completion bash \\
    > ~/.local/share/bash-completion/completions/huracan-sync
zsh, into a folder of $fpath:
  huracan-sync completion zsh > ~/.zfunc/_huracan-sync
fish:
  huracan-sync completion fish > ~/.config/fish/completions/huracan-sync.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = WHERE


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`completion SHELL`."""
    import shtab  # noqa: PLC0415 - only this verb needs it

    from huracan_sync import cli  # noqa: PLC0415 - the package imports this module

    script = shtab.complete(cli.parser_of(), shell=options.shell)
    invocation.output.document({"shell": options.shell, "script": script}, map(Whole, script.splitlines()))
    return DONE
