"""Fuzzes FEEL by coverage: `python -m tests.engine.feel.coverage_fuzzer FOLDER -max_total_time=600`.

FOLDER holds texts to begin with and keeps those that reached new code. The options are libFuzzer's; see `test_fuzz`.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine.feel"]):
    from tests.engine.feel.fuzzing import SEEDS, probe


def one(data: bytes) -> None:
    """Take some bytes as text."""
    probe(data.decode("utf-8", "ignore"))


def main() -> None:
    """Fuzz until the time is over; a failure ends the process with its trace."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (folder / f"seed{number}").write_text(seed, encoding="utf-8")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
