"""A report of hostile strings has the very elements and attributes of a report of harmless ones."""

import json
from collections import Counter
from html.parser import HTMLParser

import yaml

from eva_rl.reports import write_report
from tests.unit.synthetic_run import write_synthetic_run

HARMLESS = "x"
HOSTILE = " ".join(
    (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        '" onload="alert(1)" x="',
        "</title></style></svg><svg onload=alert(1)>",
        "--><iframe src=javascript:alert(1)>",
        "{{ 7 * 7 }}{% raw %}",
        "]]><b>&lt;i&gt;",
        "\x1b[31m\u202e",
    )
)


class Structure(HTMLParser):
    """Every element with the names of its attributes; the values of those that load or run."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.active, self.text = Counter(), Counter(), ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements[tag, tuple(name for name, _ in attributes)] += 1
        for name, value in attributes:
            if name.startswith("on") or name in ("src", "href", "xlink:href", "action", "srcdoc"):
                self.active[value[:20]] += 1

    def handle_data(self, data):
        self.text += data


def structure_with(text, directory):
    """Plants a text wherever a run's data, users and files can bring one, and parses the report."""
    run = write_synthetic_run(directory, num_conditions=8, num_clips=1, hostile=text)
    provenance = json.loads((run / "provenance.json").read_text())
    provenance |= {"extra " + text: text, "hardware": {"gpu " + text: text}, "versions": {text: text}}
    (run / "provenance.json").write_text(json.dumps(provenance))
    settings = yaml.safe_load((run / "settings.yaml").read_text())
    settings["robot"]["embodiment"] = text
    settings["extra " + text] = {"name " + text: [text, {text: text}]}
    (run / "settings.yaml").write_text(yaml.safe_dump(settings))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row["reward/term/" + text] = 1.0
        row[text] = 2.0
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (run / ("a file " + text.replace("/", ""))[:200]).write_text("")
    return Structure(write_report(run).read_text(encoding="utf-8"))


def test_no_element_and_no_attribute_is_injected(tmp_path):
    harmless = structure_with(HARMLESS, tmp_path / "harmless")
    hostile = structure_with(HOSTILE, tmp_path / "hostile")
    assert hostile.elements == harmless.elements
    assert hostile.active == harmless.active
    for text in ("<script>alert(1)</script>", "<img src=x", "onmouseover", "{{ 7 * 7 }}"):
        assert hostile.text.count(text) >= 5
