"""One process, several, and a Ray cluster of three nodes of which one is killed: the same bytes."""

import threading
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from dagan.data.weight_files import ASSETS
from dagan.preparation.assembly import Choice, assemble
from dagan.preparation.job import archives, check_settings, do_units
from dagan.preparation.settings import Settings
from dagan.preparation.units import find_units
from dagan.workers import Here, Processes, RayCluster
from media import write_video

VIDEOS, FRAMES = 6, 16
SETTINGS = Settings(
    min_seconds=0.4, min_face=20, min_motion=0.0, max_shake=100.0, min_sharpness=0.0, max_caption=1.0, people="files"
)


def _raws(folder):
    """A photo that moves about."""
    with Image.open(ASSETS / "astronaut.png") as photo:
        face = photo.convert("RGB").crop((118, 16, 330, 228)).resize((120, 120))
    for number in range(VIDEOS):
        frames = []
        for step in range(FRAMES):
            page = Image.new("RGB", (320, 180), (30 * number, 90, 120))
            page.paste(face, (20 * number + step, 20 + step))
            frames.append(np.asarray(page))
        write_video(folder / f"raw{number}.mp4", frames)
    return find_units([folder])


def _prepared(out, units, workers):
    out.mkdir()
    check_settings(out, SETTINGS)
    do_units(units, out, SETTINGS, workers, None)
    assemble(out, archives(out, units), Choice(0.2))
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def units(tmp_path):
    pytest.importorskip("mediapipe")
    (tmp_path / "raw").mkdir()
    return _raws(tmp_path / "raw")


@pytest.mark.slow
def test_four_workers_give_the_bytes_of_one_process(units, tmp_path):
    alone = _prepared(tmp_path / "alone", units, Here())
    assert sum(name.endswith(".mp4") for name in alone) == VIDEOS
    assert _prepared(tmp_path / "four", units, Processes(4)) == alone


def _kill_one(cluster, node, units_folder, done):
    """Takes a machine away without a word, as soon as the first archive is there; notes how many there were."""
    deadline = time.monotonic() + 240
    while not list(units_folder.glob("*.tar")) and time.monotonic() < deadline:
        time.sleep(0.05)
    done.append(len(list(units_folder.glob("*.tar"))))
    cluster.remove_node(node, allow_graceful=False)


@pytest.mark.slow
def test_a_cluster_that_loses_a_machine_gives_the_bytes_of_one_process(units, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: starved where other work runs
    pytest.importorskip("ray.data")
    import ray
    from ray.cluster_utils import Cluster

    alone = _prepared(tmp_path / "alone", units, Here())
    store = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **store})
    try:
        doomed, _ = cluster.add_node(num_cpus=1, **store), cluster.add_node(num_cpus=1, **store)
        cluster.wait_for_nodes()
        folder = tmp_path / "cluster" / "units"
        done: list[int] = []
        killer = threading.Thread(target=partial(_kill_one, cluster, doomed, folder, done))
        killer.start()
        assert _prepared(tmp_path / "cluster", units, RayCluster(cluster.address)) == alone
        killer.join()
        assert 0 < done[0] < VIDEOS  # in the middle
        assert len(cluster.list_all_nodes()) == 2
    finally:
        ray.shutdown()
        cluster.shutdown()
