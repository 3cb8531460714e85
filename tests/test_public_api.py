import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dagan
from dagan.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]


RUN_AND_LOOK = """
import sys
from dagan.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""


def output_of(*command: str) -> str:
    return subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.parametrize("name", dagan.__all__)
def test_every_public_name_can_be_had(name):
    assert getattr(dagan, name) is not None


def test_dir_lists_the_public_names_and_others_do_not_exist():
    assert set(dagan.__all__) <= set(dir(dagan))
    with pytest.raises(AttributeError, match="no attribute 'Elephant'"):
        _ = dagan.Elephant


def test_the_version_is_the_one_that_is_packaged():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == dagan.__version__


def test_importing_dagan_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'av', 'PIL', 'onnxruntime', 'mediapipe'}"
    assert output_of("-c", f"import sys, dagan; print({heavy} & set(sys.modules))").strip() == "set()"


def test_help_names_every_command_without_loading_torch():
    printed = output_of("-c", RUN_AND_LOOK, "--help")
    assert printed.endswith("False\n")
    assert all(name in printed for name in COMMANDS)


def test_python_dash_m_dagan_is_the_command_line():
    assert output_of("-m", "dagan", "--version") == f"dagan {dagan.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_without_loading_torch(command):
    printed = output_of("-c", RUN_AND_LOOK, command, "--help")
    assert printed.startswith(f"usage: dagan {command}")
    assert printed.endswith("False\n")
