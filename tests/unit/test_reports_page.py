"""The report shows what is there, says what is missing, and trusts no string."""

import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import pytest
import yaml

from eva_rl.evaluation.store import read_outcomes, write_outcomes
from eva_rl.reports import write_report
from tests.unit.synthetic_run import write_synthetic_run

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>&"""
SECTIONS = ("result", "videos", "ladder", "comparison", "reward", "optimisation", "time", "origin", "files")
MEGABYTE = 1_000_000


class Page(HTMLParser):
    """Collects elements, their addresses and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
                self.sources.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def complete_run(tmp_path_factory):
    return write_synthetic_run(
        tmp_path_factory.mktemp("runs") / "complete", num_conditions=60, num_clips=1, hostile=HOSTILE
    )


@pytest.fixture(scope="module")
def complete_html(complete_run):
    return write_report(complete_run).read_text()


@pytest.fixture(scope="module")
def complete_page(complete_html):
    return Page(complete_html)


@pytest.fixture
def plain_run(complete_run, tmp_path):
    """A copy without clips and training steps, to remove more from."""
    ignore = shutil.ignore_patterns("clips", "metrics.jsonl")
    return shutil.copytree(complete_run, tmp_path / "run", ignore=ignore)


def test_a_complete_run_fills_every_section(complete_page, complete_html):
    assert [name for name in complete_page.ids if name in SECTIONS] == list(SECTIONS)
    assert 'class="missing"' not in complete_html
    assert complete_page.elements["video"] == 1
    assert "Executed success rose by" in complete_page.text


def test_figures_on_the_page_are_those_of_the_files(complete_run, complete_page):
    for side in ("before", "after"):
        outcomes = read_outcomes(complete_run / "evaluation" / f"{side}.parquet")
        share = sum(outcome.monitored_success for outcome in outcomes) / len(outcomes)
        assert f"{100 * share:.1f}" in complete_page.text
    for fact in ("9f86d081884c7d65", "b0318e8c1f2a", "14 min 31 s", "1493.5", "adapter.rank"):
        assert fact in complete_page.text


def test_strings_from_data_are_escaped(complete_html, complete_page):
    assert complete_html.count("&lt;script&gt;alert(1)") >= 4  # name, instruction, command, setting
    assert HOSTILE in complete_page.text
    assert complete_page.elements["script"] == 1
    assert complete_page.elements["img"] == 0
    assert complete_page.handlers == []


def test_the_page_refers_to_nothing_outside_itself(complete_html, complete_page):
    assert all(source.startswith(("#", "data:video/mp4;base64,")) for source in complete_page.sources)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", complete_html)
    assert not re.search(r"https?://|@import|url\((?!#)", without_namespaces)


def test_the_page_stays_small(complete_html):
    assert len(complete_html.encode()) < 10 * MEGABYTE


def test_ids_of_the_page_are_unique_outside_of_pictures(complete_html):
    ids = Page(re.sub(r"<svg.*?</svg>", "", complete_html, flags=re.DOTALL)).ids
    assert len(ids) == len(set(ids))


def test_a_run_that_has_only_been_evaluated_once_says_so(plain_run):
    (plain_run / "evaluation" / "after.parquet").unlink()
    page = Page(write_report(plain_run).read_text())
    assert "Only the base policy has been evaluated" in page.text
    assert "executed success" in page.text
    assert "Nothing to compare" in page.text
    assert "No clips have been written" in page.text


def test_a_run_without_evaluation_says_so(plain_run):
    shutil.rmtree(plain_run / "evaluation")
    page = Page(write_report(plain_run).read_text())
    assert "No evaluation has been written yet" in page.text
    assert "No rung has been measured" in page.text


def test_a_run_without_a_ladder_still_shows_the_policies(plain_run):
    (plain_run / "evaluation" / "ladder.json").unlink()
    page = Page(write_report(plain_run).read_text())
    assert "The rungs below the world model were not measured" in page.text
    assert "imagined, after" in page.text


def test_an_empty_directory_gives_a_page_that_names_every_missing_piece(tmp_path):
    page = Page(write_report(tmp_path).read_text())
    for sentence in (
        "No evaluation has been written",
        "No clips have been written",
        "No rung has been measured",
        "Nothing to compare",
        "No training step has been written",
        "The learner has written no metrics",
        "No times have been written",
        "provenance.json is missing",
        "settings.yaml is missing",
    ):
        assert sentence in page.text
    assert [name for name in page.ids if name in SECTIONS] == list(SECTIONS)


def test_evaluations_of_different_conditions_are_not_compared(plain_run):
    file = plain_run / "evaluation" / "after.parquet"
    write_outcomes(file, read_outcomes(file)[:-1])
    assert "hold different conditions" in Page(write_report(plain_run).read_text()).text


def test_a_difference_that_is_not_shown_is_not_claimed(plain_run):
    evaluation = plain_run / "evaluation"
    shutil.copy(evaluation / "before.parquet", evaluation / "after.parquet")
    text = Page(write_report(plain_run).read_text()).text
    assert "Executed success: no difference is shown." in text
    assert "▲ better" not in text


def test_unknown_robots_and_settings_do_not_stop_the_report(plain_run):
    settings = yaml.safe_load((plain_run / "settings.yaml").read_text())
    settings["robot"]["embodiment"] = "nobody's"
    settings["a_later_version"] = {"knob": [1, 2]}
    (plain_run / "settings.yaml").write_text(yaml.safe_dump(settings))
    assert "a_later_version.knob" in Page(write_report(plain_run).read_text()).text


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run directory"):
        write_report(tmp_path / "nowhere")
