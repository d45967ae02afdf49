"""Coverage-guided fuzzing of one target with atheris: `python -m tests.fuzz.run smtp -max_total_time=60`.

Needs `pip install atheris`. What it finds goes into tests/fuzz/seeds/<target>/ and is from then on a test.
"""

from __future__ import annotations

import sys
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
    atheris.Setup([*sys.argv, *([str(seeds)] if seeds.is_dir() else [])], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
