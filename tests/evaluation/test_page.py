import base64
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from samples import sample, scores

from dagan.evaluation.evaluator import EvaluatorConfig
from dagan.evaluation.jobs import self_protocol
from dagan.evaluation.page import histogram, to_html
from dagan.evaluation.pictures import draw_examples, examples
from dagan.evaluation.plans import PairChoice, make_plan
from dagan.evaluation.records import BY_FIELD, SkippedClip
from dagan.evaluation.report import Report
from dagan.evaluation.run import evaluate
from dagan.evaluation.systems import TestPiece
from dagan.observers import ObserverVersion

VOID = {"meta", "img"}


class Balanced(HTMLParser):
    """Every element is closed in its order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def report(*values, **changes):
    samples = tuple(sample(scores(l1=v), scores(l1=0.2), number=n) for n, v in enumerate(values))
    fields = {"model": "ours", "observers": {"landmarks": ObserverVersion("r", "1", "00")}, "samples": samples}
    return Report(protocol=self_protocol(), **(fields | changes))


def parse(text: str) -> Balanced:
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_asks_for_no_other_file():
    text = to_html(report(0.1, 0.2, 0.4))
    tags = parse(text).seen
    assert tags.count("svg") == 6  # of the 7 metrics of this evaluator AUCON was not measured
    assert "AUCON: nothing measured" in text
    assert "script" not in tags
    assert "link" not in tags
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_names_are_text_and_not_markup():
    text = to_html(report(0.1, model="<script>alert(1)</script>", skipped=(SkippedClip("<b>", "a & b"),)))
    parse(text)
    assert "<script>" not in text
    assert "&lt;b&gt; skipped: a &amp; b" in text


def test_a_histogram_counts_every_value():
    figure = histogram(BY_FIELD["l1"], report(0.1, 0.1, 0.1, 0.4))
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", figure).group())
    still, ours = svg.findall("g")
    heights = [float(bar.get("height")) for bar in ours.findall("rect")]
    assert sorted(heights)[0] / sorted(heights)[1] == pytest.approx(1 / 3, abs=0.02)
    assert len(still.findall("rect")) == 1
    assert "mean 0.1750, 4 of 4 pairs" in figure


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
    plan = make_plan(
        PairChoice(root=str(clips), pairs_per_clip=2, protocol="cross"),
        TestPiece(name="unmoved source"),
        EvaluatorConfig(identity="none", lpips="none"),
    )
    found = evaluate(plan)
    pictures = draw_examples(found, plan)
    assert len(pictures) == len(examples(found)) > 0
    for picture in pictures:
        source, driving, generated = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))).astype(int)
            for uri in picture.images
        )
        assert source.shape == (160, 160, 3)
        assert np.array_equal(source, generated)
        assert np.abs(driving - source).mean() > 5
    assert parse(to_html(found, pictures)).seen.count("img") == 3 * len(pictures)
