"""Coverage-guided fuzzing of one target with atheris: `python -m tests.fuzz.run smtp -max_total_time=60`.

Needs `pip install atheris`. An input that fails is written to the working folder; move it to
tests/fuzz/seeds/<target>/ under a name that says what it is, and it is a test from then on.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main() -> int:
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 3
    with atheris.instrument_imports(include=["gateway", "directory"]):
        from tests.fuzz.targets import TARGETS
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        print(
            f"usage: python -m tests.fuzz.run TARGET [libFuzzer options]; targets: {' '.join(TARGETS)}", file=sys.stderr
        )
        return 2
    name = sys.argv.pop(1)
    seeds = Path(__file__).parent / "seeds" / name
    with tempfile.TemporaryDirectory(prefix="gatepost-fuzz-") as found:
        # what it learns goes into the first folder; only what fails is worth a seed
        atheris.Setup([*sys.argv, found, *([str(seeds)] if seeds.is_dir() else [])], TARGETS[name])
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
