"""What pip installs is enough: the wheel, outside of the repository, animates."""

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).parents[1]
BUILD = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"


@pytest.mark.slow
def test_the_installed_wheel_animates(tmp_path):
    pytest.importorskip("hatchling")
    built = subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    wheel = tmp_path / built.stdout.decode().split()[-1]
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True)
    assert not (site / "benchmarks").exists()
    assets = site / "dagan" / "assets"
    words = ["animate", assets / "astronaut.png", assets / "driver.safetensors", "-o", tmp_path / "out.mp4"]
    command = [sys.executable, "-m", "dagan", *map(str, words), "--size", "64", "--runtime", "torch"]
    environment = {**os.environ, "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].frames) == (64, 120)
