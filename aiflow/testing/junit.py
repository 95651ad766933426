"""Results as JUnit XML, which every CI server reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from aiflow.errors import SpecError
from aiflow.testing.expect import as_texts
from aiflow.testing.runner import Result

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Iterable[Result], faults: Iterable[SpecError]) -> str:
    """The document. A file with faults is a test that could not begin."""
    root = ElementTree.Element("testsuites", name="aiflow test")
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.suite.shown, []).append(result)
    for name, group in suites.items():
        failed = sum(not result.passed for result in group)
        seconds = sum(result.real_s for result in group)
        suite = _element(root, "testsuite", name=name, tests=len(group), failures=failed, errors=0, time=f"{seconds:.3f}")
        for result in group:
            _case(suite, result)
    for error in faults:
        first = error.problems[0]
        name = first.file
        suite = _element(root, "testsuite", name=name, tests=1, failures=0, errors=1, time="0")
        case = _element(suite, "testcase", classname=name, name="the file", time="0")
        _element(case, "error", message=first.message, type="fault").text = _clean("\n".join(map(str, error.problems)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, result: Result) -> None:
    case = _element(
        suite, "testcase", classname=result.suite.shown, name=result.case.name, time=f"{result.real_s:.3f}",
        file=result.suite.shown, line=result.case.place.split(":")[-2],
    )  # fmt: skip
    if result.failures:
        texts = [(one.what, *as_texts(one)) for one in result.failures]
        lines = [f"{what}\n  expected: {expected}\n  got:      {got}" for what, expected, got in texts]
        what, _, got = texts[0]
        _element(case, "failure", message=f"{what}: {got}", type=what).text = _clean("\n".join(lines))


def _element(parent: ElementTree.Element, tag: str, /, **attributes: object) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, {key: _clean(str(value)) for key, value in attributes.items()})


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
