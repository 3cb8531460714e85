"""No command replaces one of its inputs, and sizes are bounded: one line, before anything is read."""

import pytest

from dagan.cli.main import main


@pytest.fixture
def refusal(capsys):
    """Runs a command that is refused; gives the line it says."""

    def run(*words) -> str:
        try:
            code = main([str(word) for word in words])
        except SystemExit as usage:  # argparse
            code = usage.code
        assert code == 2
        return capsys.readouterr().err.splitlines()[-1]

    return run


@pytest.fixture
def own(tmp_path):
    """An input's content must be there after the command."""
    for name in ("own.jpg", "model.safetensors", "evaluation.json", "clip.mp4"):
        (tmp_path / name).write_bytes(b"precious")
    (tmp_path / "clips").mkdir()
    yield tmp_path
    assert all(path.read_bytes() == b"precious" for path in tmp_path.iterdir() if path.is_file())


@pytest.mark.parametrize(
    "words",
    [
        "figure depth own.jpg -o own.jpg",
        "figure grid own.jpg:0 own.jpg -o own.jpg",
        "figure depth clip.mp4:3 --model own.jpg -o own.jpg",
        "figure grid a.jpg b.jpg --model ours=own.jpg -o own.jpg",
        "animate own.jpg clip.mp4 -o out.mp4 --report clip.mp4",
        "animate own.jpg clip.mp4 --model model.safetensors -o out.mp4 --report model.safetensors",
        "record clip.mp4 -o clip.mp4",
        "record clip.mp4 --model model.safetensors -o model.safetensors",
        "compare evaluation.json other -o evaluation.json",
        "compare . other -o evaluation.json",
        "evaluate clips --compare . -o .",
        "evaluate clips --compare evaluation.json -o .",
        "evaluate clips -o clips",
        "stills photos -o photos",
        "landmarks clips -o clips",
        "train clips -o clips",
        "train clips --from model.safetensors -o .",
        "train clips --depth model.safetensors -o .",
        "train-depth clips --from model.safetensors -o .",
        "train-retargeting clips --landmarks clips --from model.safetensors -o .",
        "finetune clip.mp4 --from model.safetensors -o .",
        "ablate clips -o clips --evaluate clips",
        "data pack clips -o clips",
    ],
)
def test_an_output_that_is_an_input_is_refused(own, monkeypatch, refusal, words):
    monkeypatch.chdir(own)
    (own / "photos").mkdir()
    (own / "photos" / "a.png").touch()
    assert "the output would replace the input" in refusal(*words.split())


@pytest.mark.parametrize("report", ["out.mp4", "../{}/out.mp4", "link.json"])
def test_two_outputs_are_not_one_file(own, monkeypatch, refusal, report):
    monkeypatch.chdir(own)
    (own / "link.json").symlink_to("out.mp4")
    words = ["animate", "own.jpg", "clip.mp4", "-o", "out.mp4", "--report", report.format(own.name)]
    assert "two outputs would be one file" in refusal(*words)


def test_an_export_does_not_replace_its_model(own, refusal):
    model = own / "model.safetensors"
    (own / "frame.onnx").symlink_to(model)
    assert "the output would replace the input" in refusal("export", model, "-o", own)


@pytest.mark.parametrize(
    "words",
    [
        "train clips -o run",
        "train-depth clips -o run",
        "train-retargeting clips --landmarks clips --from model.safetensors -o run",
        "finetune clip.mp4 -o run",
        "record clip.mp4 -o motion.safetensors",
        "export -o graphs",
        "bench",
        "ablate clips -o run --evaluate clips",
        "evaluate clips",
        "evaluate-depth",
        "data pairs clips -o list.csv",
        "data pack clips -o shards",
        "depth own.jpg -o map.png",
    ],
)
def test_a_huge_size_is_refused(own, monkeypatch, refusal, words):
    monkeypatch.chdir(own)
    assert "2048" in refusal(*words.split(), "--size", "99968")
