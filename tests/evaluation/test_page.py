import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from known_quality import UNMOVED, KnownQuality
from PIL import Image
from samples import SELF, sample, scores

from dagan.evaluation.evaluator import EvaluatorConfig
from dagan.evaluation.page import draw_examples, examples, histogram, to_html
from dagan.evaluation.pairs import Selection
from dagan.evaluation.records import BY_FIELD, SkippedClip
from dagan.evaluation.report import Report
from dagan.evaluation.run import evaluate, make_plan
from dagan.observers import ObserverVersion

VOID = {"meta", "img", "path", "use"}


class Balanced(HTMLParser):
    """Every element is closed in its order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def report(*values, **changes):
    samples = tuple(sample(scores(l1=v), scores(l1=0.2), number=n) for n, v in enumerate(values))
    fields = {"model": "ours", "observers": {"landmarks": ObserverVersion("r", "1", "00")}, "samples": samples}
    return Report(protocol=SELF, **(fields | changes))


def parse(text: str) -> Balanced:
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_the_page_stands_alone_and_holds_every_part():
    text = to_html(report(0.1, 0.3))
    parsed = parse(text)
    for heading in (
        "Metrics",
        "Follows the driver",
        "Beside the paper",
        "Distributions",
        "Pairs",
        "Failures",
        "How it was measured",
    ):
        assert f"<h2>{heading}</h2>" in text
    assert parsed.seen.count("table") == 4  # the metrics, what follows the driver, Tables 1 and 2
    assert parsed.seen.count("svg") == 6  # all metrics of this evaluator but AUCON, which these records lack
    assert '<tr class="ours"><td>ours</td>' in text
    assert "<td>DaGAN *</td><td>0.899</td>" in text
    assert "link" not in parsed.seen
    assert "script" not in parsed.seen
    assert re.findall(r'src="(?!data:)', text) == []


def test_names_are_text_and_not_markup():
    hostile = '<script>alert("1")</script>'
    lost = sample(scores(), scores(), found=False, person=hostile)
    text = to_html(
        report(0.1, samples=(lost,), model=hostile, skipped=(SkippedClip("<b>", "a & b"),), notes=(hostile,))
    )
    assert "script" not in parse(text).seen
    assert "<script" not in text
    assert "&lt;b&gt; skipped: a &amp; b" in text


def test_a_histogram_says_its_mean_and_how_many_pairs_it_holds():
    found = histogram(BY_FIELD["l1"], report(0.1, 0.1, 0.1, 0.4))
    assert found.caption == "L1 ([0, 1]): mean 0.1750, 4 of 4 pairs"
    assert found.svg.startswith("<svg")
    assert histogram(BY_FIELD["l1"], report(0.1, 0.1, 0.1, 0.4)) == found
    assert histogram(BY_FIELD["csim"], report(0.1)).caption == "CSIM: nothing measured"


def test_failures_are_listed():
    lost = sample(scores(), scores(), found=False, person="bob")
    text = to_html(report(0.1, samples=(sample(scores(), scores()), lost)))
    assert "bob__c0 #3 driven by bob__c0 #20: no face in the image" in text


def test_examples_are_the_best_the_median_and_the_worst():
    found = [example for example in examples(report(0.3, 0.1, 0.2, 0.5, 0.4)) if example.metric.field == "l1"]
    assert [(example.rank, example.sample.generated.l1) for example in found] == [
        ("best", 0.1),
        ("median", 0.3),
        ("worst", 0.5),
    ]


def test_the_pictures_of_examples_are_the_scored_ones(clips):
    selection = Selection(root=str(clips), pairs_per_clip=2, protocol="cross")
    plan = make_plan(selection, KnownQuality(UNMOVED), EvaluatorConfig(identity="none", lpips="none"))
    found = evaluate(plan)
    pictures = draw_examples(found, plan)
    assert len(pictures) == len(examples(found)) > 0
    for picture in pictures:
        source, driving, generated = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))).astype(int)
            for address in picture.images
        )
        assert source.shape == (160, 160, 3)
        assert np.array_equal(source, generated)
        assert np.abs(driving - source).mean() > 5
    assert parse(to_html(found, pictures)).seen.count("img") == 3 * len(pictures)
