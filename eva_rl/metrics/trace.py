"""A run's timeline as a Chrome trace: open `trace.json` in ui.perfetto.dev or chrome://tracing.

The format is the JSON array of the Trace Event Format, whose closing bracket may be missing: a killed run
leaves a file that opens all the same.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eva_rl.records.span import Span

ROLES = ("driver", "learner", "generator", "scorer")
"""Roles in the order of the page; each is a process of the trace, and each member a thread of it."""
MICROSECONDS = 1e6


class TraceFile:
    """Appends spans to a trace file.

    Args:
        file: made if missing; what an interrupted run wrote stays.
    """

    def __init__(self, file: Path) -> None:
        events = read_events(file) if file.is_file() else []
        self._named = {(event["pid"], event["tid"]) for event in events if event["ph"] == "M"}
        _replace(file, "[\n" + ",\n".join(map(json.dumps, events)))
        self._stream = file.open("a")
        self._separator = ",\n" if events else ""

    def write(self, spans: Sequence[Span]) -> None:
        """Appends spans and flushes them."""
        for span in spans:
            process, thread = _process(span.role), span.number
            if (process, thread) not in self._named:
                self._named.add((process, thread))
                self._append(_naming("process_name", span.role, process, thread))
                self._append(_naming("thread_name", f"{span.role} {span.number}", process, thread))
            self._append(
                {
                    "ph": "X",
                    "name": span.name,
                    "cat": span.role,
                    "pid": process,
                    "tid": thread,
                    "ts": round(span.start_s * MICROSECONDS, 1),
                    "dur": round(span.duration_s * MICROSECONDS, 1),
                    "args": dict(span.details),
                }
            )
        self._stream.flush()

    def close(self) -> None:
        """Ends the array and closes the file."""
        self._stream.write("\n]\n")
        self._stream.close()

    def _append(self, event: dict[str, Any]) -> None:
        self._stream.write(self._separator + json.dumps(event))
        self._separator = ",\n"


def read_events(file: Path) -> list[dict[str, Any]]:
    """Reads a trace's events; a last one that a killed process left half-written is passed over.

    Raises:
        ValueError: another line is no event; names it.
    """
    lines = file.read_text().splitlines()
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        text = line.rstrip(",")
        if text in ("[", "]", ""):
            continue
        try:
            events.append(json.loads(text))
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise ValueError(f"{file} line {number} is no trace event: {line[:80]!r}; remove it") from None
    return events


def read_spans(file: Path) -> list[Span]:
    """Reads a trace's spans, in the order in which they were written."""
    return [
        Span(
            role=event["cat"],
            number=event["tid"],
            name=event["name"],
            start_s=event["ts"] / MICROSECONDS,
            duration_s=event["dur"] / MICROSECONDS,
            details=event["args"],
        )
        for event in read_events(file)
        if event["ph"] == "X"
    ]


def _process(role: str) -> int:
    return ROLES.index(role)


def _naming(kind: str, name: str, process: int, thread: int) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _replace(file: Path, text: str) -> None:
    """Exchanges the file's content at once: a process killed here must not lose the timeline."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, file)
