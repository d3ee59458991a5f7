"""Reads expositions with Python's prometheus_client, and prints what it found as JSON, a line for each.

Arguments: pairs of a format, `text` or `openmetrics`, and a file. A line is {"families": [...]}, or {"error": "..."} for
what the parser refuses. Numbers are printed as strings, because JSON has neither infinities nor NaN.
"""

import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

PARSERS = {
    "text": parser.text_string_to_metric_families,
    "openmetrics": openmetrics_parser.text_string_to_metric_families,
}


def seconds(timestamp):
    return None if timestamp is None else str(timestamp)


def exemplar(found):
    if found is None:
        return None
    return {"labels": found.labels, "value": repr(found.value), "timestamp": seconds(found.timestamp)}


def read(exposition_format, path):
    with open(path, encoding="utf-8", errors="strict", newline="") as file:
        text = file.read()
    try:
        return {
            "families": [
                {
                    "name": family.name,
                    "kind": family.type,
                    "help": family.documentation,
                    "samples": [
                        {
                            "name": sample.name,
                            "labels": sample.labels,
                            "value": repr(sample.value),
                            "exemplar": exemplar(sample.exemplar),
                        }
                        for sample in family.samples
                    ],
                }
                for family in PARSERS[exposition_format](text)
            ]
        }
    except Exception as error:  # Whatever the parser raises is its verdict.
        return {"error": f"{type(error).__name__}: {error}"}


for given in zip(sys.argv[1::2], sys.argv[2::2]):
    print(json.dumps(read(*given)))
