import json

import pytest

from dagan.cli.bench_animate import BEGIN, END, put_into
from dagan.cli.main import main
from dagan.errors import UserError
from dagan.inference.bench_subject import Subject, count


@pytest.mark.slow
def test_a_small_bench_measures_every_mode(capsys):
    small = ["--size", "64", "--rounds", "1", "--frames", "2", "--threads", "1", "--modes", "torch:fp32", "--json"]
    assert main(["bench", "animate", *small]) == 0
    report = json.loads(capsys.readouterr().out)
    naive, ours = report["modes"]
    assert (naive["mode"], ours["mode"]) == ("naive", "torch:fp32")
    assert ours["difference"] < 1e-3
    assert 0 < ours["gigamacs"] < naive["gigamacs"]
    assert min(naive["milliseconds"], ours["milliseconds"], ours["peak_mib"], ours["floor"]) > 0


def test_the_bundled_model_is_counted_folded_and_cached():
    everything, folded = (count(Subject("lite", 64, 1), way) for way in ("everything", "folded"))
    assert 0 < folded < everything


@pytest.mark.parametrize(
    "words", [["--modes", "torch"], ["--modes", "torch:int3"], ["--size", "50"], ["--rounds", "0"]]
)
def test_what_cannot_be_measured_is_said(words, capsys):
    assert main(["bench", "animate", *words]) == 2
    assert capsys.readouterr().err.startswith("dagan: error: --")


def test_a_table_replaces_the_one_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    begin, end = BEGIN.format("lite"), END.format("lite")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    put_into(page, "lite", "new")
    assert page.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
    with pytest.raises(UserError, match="no lines"):
        put_into(page, "dagan", "new")
