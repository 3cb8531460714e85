"""The pages: links lead to files, table cells are short, the README fits a screen, every page is on the site."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
MOST_WORDS_IN_A_CELL = 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    missing = [
        link for link in LINK.findall(page.read_text()) if "://" not in link and not (page.parent / link).exists()
    ]
    assert not missing, f"{page.name} links to {missing}, which do not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_table_cells_are_short(page):
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    long = [cell for row in rows for cell in row.split("|") if len(cell.split()) > MOST_WORDS_IN_A_CELL]
    assert not long


def test_no_line_of_the_readme_is_over_160_characters():
    assert max(map(len, (ROOT / "README.md").read_text().splitlines())) <= 160


def test_every_page_is_on_the_site():
    named = set(re.findall(r"([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert named == {path.name for path in (ROOT / "docs").glob("*.md")}
