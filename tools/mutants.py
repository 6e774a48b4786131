"""Seed faults into parsers, guards and planners, and list those that their tests let pass.

    python -m venv mutants && mutants/bin/pip install cosmic-ray
    mutants/bin/python tools/mutants.py --python .venv/bin/python [--seed 1] [--count 60] [--minutes 20]

Cosmic Ray's operators change one place of one module, in a copy of the package made of links; the working
tree stays as it is. The module's tests then run against the copy: at least one must fail. It is run by
hand, one process at a time, and is no part of `./check`. The exit status is the number of survivors.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "pairdex"
TESTS = {
    "curate/remove.py": ["curate/test_remove.py"],
    "downloads/listing.py": ["downloads/test_sources.py", "downloads/test_hostile.py"],
    "downloads/partial.py": ["downloads/test_fetch.py", "downloads/test_hostile.py"],
    "exports/folders.py": ["exports/test_exports.py"],
    "exports/sisap.py": ["exports/test_sisap.py"],
    "files/array_files.py": ["files/test_array_files.py"],
    "files/atomic.py": ["files/test_atomic.py", "files/test_weak_file_systems.py"],
    "files/boundary.py": ["files/test_boundary.py"],
    "files/foreign.py": ["files/test_foreign.py"],
    "files/foreign_names.py": ["files/test_foreign_names.py"],
    "files/hdf5.py": ["files/test_hdf5.py"],
    "files/query_files.py": ["files/test_query_files.py"],
    "files/sealed_json.py": ["files/test_sealed_json.py"],
    "files/typed_json.py": ["files/test_typed_json.py"],
    "files/unfinished.py": ["files/test_unfinished.py"],
    "files/vectors.py": ["files/test_vectors.py"],
    "parts/bundle.py": ["parts/test_bundle.py"],
    "parts/layout.py": ["parts/test_layout.py", "parts/test_incomplete.py"],
    "parts/note.py": ["encoders/test_encode.py"],
    "parts/subsets.py": ["parts/test_subsets.py"],
    "parts/tsv.py": ["parts/test_tsv.py"],
    "parts/values.py": ["parts/test_values.py", "parts/test_columns.py"],
    "predicate/checked.py": ["predicate/test_checked.py"],
    "predicate/rules.py": ["predicate"],
    "search/planner.py": ["search/test_planner.py", "derived"],
    "search/browse.py": ["search/test_browse.py", "service/test_browse.py"],
    "service/guards.py": ["service/test_guards.py", "service/test_access.py"],
    "service/rate_limit.py": ["service/test_rate_limit.py"],
    "service/request_models.py": ["service/test_errors.py", "service/test_searches.py"],
    "service/reverse_proxy.py": ["service/test_reverse_proxy.py", "service/test_proxy.py"],
    "store/removed.py": ["store/test_removed.py", "curate/test_remove.py"],
}
"""The modules, and the tests that must notice a fault in each."""

OPERATORS = (
    "AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue", "Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt",
    "Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is", "Add_Sub", "Sub_Add", "Delete_Not",
)  # fmt: skip
TEST_SECONDS = 300


@dataclass(frozen=True)
class Mutant:
    """One fault: the module, and its whole text with the fault in it."""

    module: str
    operator: str
    text: str

    def difference(self) -> str:
        """Return the changed lines."""
        before = (PACKAGE / self.module).read_text().splitlines()
        lines = list(difflib.unified_diff(before, self.text.splitlines(), n=0, lineterm=""))
        return "\n".join(lines[2:])


def faults(module: str, rng: random.Random) -> Iterator[Mutant]:
    """Yield faults of a module: in random order of the operators, each time at a random place."""
    code = (PACKAGE / module).read_text()
    names = [name for name in sorted(operator_names()) if name.endswith(OPERATORS)]
    rng.shuffle(names)
    for name in names:
        places = list(places_of(code, name))
        if places:
            yield Mutant(module, name.rpartition("/")[2], rng.choice(places))


def places_of(code: str, name: str) -> Iterator[str]:
    """Yield the module's text with the operator's change at each place where it can be made."""
    for occurrence in itertools.count():
        changed = mutate_code(code, get_operator(name)(), occurrence)
        if changed is None:
            return
        yield changed if isinstance(changed, str) else changed.decode()


def drawn(seed: int) -> Iterator[Mutant]:
    """Draw faults, in turn of each module, until there are no more."""
    rng = random.Random(seed)
    order = [faults(module, rng) for module in TESTS]
    rng.shuffle(order)
    for some in itertools.zip_longest(*order):
        yield from filter(None, some)


def is_noticed(mutant: Mutant, python: str, place: Path) -> str:
    """Run the module's tests against a copy with the fault: noticed, survived, or timed out."""
    copy = place / "pairdex"
    shutil.copytree(PACKAGE, copy, copy_function=os.symlink)
    faulty = copy / mutant.module
    faulty.unlink()
    faulty.write_text(mutant.text)
    tests = [str(ROOT / "tests" / name) for name in TESTS[mutant.module]]
    command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(place), "OPENBLAS_NUM_THREADS": "1"}
    try:
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=TEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        shutil.rmtree(copy)
    return "survived" if ended.returncode == 0 else "noticed"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default=sys.executable, help="the one that runs the tests")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60, help="of faults")
    parser.add_argument("--minutes", type=float, default=20, help="begin no fault after these")
    asked = parser.parse_args()
    python = str(Path(asked.python).absolute())
    ends = time.monotonic() + asked.minutes * 60
    outcomes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        for number, mutant in enumerate(itertools.islice(drawn(asked.seed), asked.count), 1):
            if time.monotonic() > ends:
                break
            outcome = is_noticed(mutant, python, Path(place))
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            print(f"{number} {outcome}: {mutant.module} {mutant.operator}", flush=True)
            if outcome == "survived":
                print(mutant.difference(), flush=True)
    print(outcomes)
    sys.exit(outcomes.get("survived", 0))


if __name__ == "__main__":
    main()
