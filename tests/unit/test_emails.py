"""Email files: the envelope in the front matter, templates in it, what is built of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiflow.errors import SpecError
from aiflow.language.model import PromptSource
from aiflow.language.prompts import parse_email
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings


def source(text: str) -> PromptSource:
    return PromptSource(path="emails/x.md", text=text, sha256=str(hash(text)))


def test_the_envelope_and_the_text() -> None:
    email = parse_email(
        source("---\nsubject: Hi {{ name }}\nto: [a@b.example, '{{ other }}']\ninputs: {name: string, other: email}\n---\n\nDear {{ name }},\nsystem:\nhello\n")
    )
    assert email.options == {"subject": "Hi {{ name }}", "to": ["a@b.example", "{{ other }}"]}
    assert email.messages == [("body", "Dear {{ name }},\nsystem:\nhello")]
    assert email.required == {"name", "other"}


def test_faults_stand_where_they_are_written() -> None:
    with pytest.raises(SpecError) as raised:
        parse_email(source('---\nsubject: "Hi {{ nam }}"\nto: ["{{ whom }}"]\nmodel: fast\n---\nDear {{ you }}\n'))
    assert [(problem.line, problem.column, problem.code) for problem in raised.value.problems] == [
        (2, 17, "email-undeclared"), (3, 10, "email-undeclared"), (4, 1, "unknown-key"), (6, 9, "email-undeclared"),
    ]  # fmt: skip


def test_an_email_is_part_of_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "workflows" / "emails").mkdir(parents=True)
    (tmp_path / "workflows" / "emails" / "hi.md").write_text("---\nsubject: Hi\n---\nHello.\n")
    file = tmp_path / "workflows" / "w.yaml"
    file.write_text("defaults: {email: {to: a@b.example, subject: News}}\nsteps:\n  - email: emails/hi.md\n")
    workflow = load_workflow(file, Settings(root=tmp_path))
    (step,) = workflow.steps
    assert step.prompt == "workflows/emails/hi.md" and workflow.prompts[step.prompt].text.endswith("Hello.\n")
    assert step.config == {"template": "emails/hi.md", "to": "a@b.example"}, "the subject of the file comes before the default"
