"""docs/checkpoints.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_row_names_a_test_that_exists():
    page = (ROOT / "docs" / "checkpoints.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.count("|") == 6]
    assert len(rows) > 15
    file = ""
    for row in rows[1:]:
        if "---" in row:
            continue
        cell = row.split("|")[5]
        named = re.search(r"`(\w+/test_\w+\.py)`", cell)
        file = named[1] if named else file
        assert named or "same file" in cell, row
        tests = re.findall(r"`(test_\w+)`", cell)
        assert tests, row
        assert all(f"def {name}(" in (ROOT / "tests" / file).read_text() for name in tests), row
