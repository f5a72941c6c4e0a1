"""Judge each mutant by the tests of its own module first: `python scripts/own_tests.py mutants/mutmut-stats.json`.

mutmut runs every test that reaches a changed function: hundreds, for what all readers use. Those of the module itself
find nearly all that can be found, in a second. What survives them is judged again by all: scripts/mutate.sh.
"""

import json
import sys
from pathlib import Path

OWN = {
    "tree.plan": ("tree/test_plan",),
    "manifest.checks": ("manifest/test_checks", "manifest/test_head"),
    "manifest.trust": ("manifest/test_trust", "manifest/test_pin", "manifest/test_rotation"),
    "reader.cache": ("reader/test_cache",),
    "reader.carried": ("reader/test_carried",),
    "reader.known_roots": ("reader/test_trust_store",),
    "reader.reader": (
        "reader/test_reader.py",
        "reader/test_reader_follow",
        "reader/test_snapshot",
        "reader/test_told",
        "reader/test_carried_bodies",
    ),
    "reader.snapshot": (
        "reader/test_snapshot",
        "reader/test_shards",
        "reader/test_verified_blocks",
        "reader/test_reader.py",
        "reader/test_told",
        "reader/test_verified_file",
    ),
    "reader.source": (
        "reader/test_poll_signed",
        "reader/test_reader.py",
        "reader/test_reader_follow",
        "reader/test_carried_bodies",
    ),
    "reader.trust_pin": ("reader/test_reader.py", "reader/test_told"),
    "reader.trust_store": ("reader/test_trust_store", "reader/test_told"),
    "reader.verified_blocks": ("reader/test_block_checks", "reader/test_verified_file", "reader/test_verified_blocks"),
}
"""Module -> the beginnings of its tests' names, below tests/."""


def main(file: Path) -> None:
    stats = json.loads(file.read_text(encoding="utf-8"))
    tests_of = stats["tests_by_mangled_function_name"]
    for function, tests in tests_of.items():
        own = OWN.get(".".join(function.split(".")[1:3]), ())
        tests_of[function] = [
            test for test in tests if test.startswith(tuple(f"tests/{name}" for name in own))
        ] or tests
    file.write_text(json.dumps(stats, indent=4), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
