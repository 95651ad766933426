"""The models that come along: what they say is in the text, fits the schema, and is the same every time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aiflow.errors import StepError
from aiflow.language.prompts import load_prompt_source, parse_prompt
from aiflow.models.calls import ChatRequest, EmbedRequest
from aiflow.models.offline import chat, complete, embed
from aiflow.models.offline_task import split_task

ROOT = Path(__file__).parents[2]

HARBOUR = """# Harbour report 2024

The harbour of Aldmouth was dredged on 5 March 2024 by Brandt & Sons Ltd. It took
eleven days and cost €2.4 million, about a tenth more than planned. The work was paid for by the county.

Ships of up to 9.5 m draught can now enter at low tide. Before, the limit was 7.2 m. Dr. Ana Weiss, the harbour master,
said that three more lines might call at Aldmouth from 2025-01-15.

## Ferries

The ferry to Skarholm runs twice a day, at 7:30 and 17:45. Is the evening boat on time? Fares will probably rise in 2025.

- New waiting room opened on May 2, 2024
- Ticket office closed on Sundays

See https://aldmouth.example/ferries or write to office@aldmouth.example.
"""

FACTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "what this part is about in at most eight words"},
        "facts": {
            "type": "array",
            "description": "one claim each and only what the text states",
            "items": {
                "type": "object",
                "properties": {
                    "claim": {"type": "string"},
                    "quote": {"type": "string", "description": "the words that support it"},
                    "confidence": {"enum": ["low", "medium", "high"]},
                },
                "required": ["claim", "quote", "confidence"],
                "additionalProperties": False,
            },
        },
        "dates": {"type": "array", "items": {"type": "string", "format": "date"}},
    },
    "required": ["title", "facts", "dates"],
    "additionalProperties": False,
}


def ask(text: str, schema: dict[str, Any] | None = None, system: str = "") -> Any:
    """The value with a schema, else the text."""
    messages = [{"role": "system", "content": system}] if system else []
    answer = complete([*messages, {"role": "user", "content": text}], schema)
    if schema is None:
        return answer.text
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer.parsed)
    assert json.loads(answer.text) == answer.parsed
    return answer.parsed


def field(schema: dict[str, Any], text: str = HARBOUR, name: str = "value") -> Any:
    whole = {"type": "object", "properties": {name: schema}, "required": [name]}
    return ask(f"Read this:\n\n{text}", whole)[name]


def flat(text: str) -> str:
    return " ".join(text.split())


def test_facts_are_the_words_of_the_text() -> None:
    found = ask(f"From the file a.md:\n\n{HARBOUR}", FACTS, "You extract facts. An empty list is a good answer.")
    assert found["title"] == "Harbour report 2024"
    assert found["dates"] == ["2024-03-05", "2025-01-15", "2024-05-02"]
    assert 5 <= len(found["facts"]) <= 8
    for fact in found["facts"]:
        assert fact["quote"] in HARBOUR
        assert fact["claim"] in flat(HARBOUR)
        assert "?" not in fact["claim"]
    by_claim = {fact["claim"]: fact["confidence"] for fact in found["facts"]}
    assert by_claim["The harbour of Aldmouth was dredged on 5 March 2024 by Brandt & Sons Ltd."] == "high"
    assert by_claim["Fares will probably rise in 2025."] == "medium"
    assert next(level for claim, level in by_claim.items() if "might call" in claim) == "low"


def test_no_text_gives_empty_lists_and_texts() -> None:
    assert ask("From the file a.md:\n\n", FACTS) == {"title": "", "facts": [], "dates": []}


def test_a_cut_text_gives_whole_sentences_only() -> None:
    part = "of the county council. The bridge was closed in June 1999 for repairs. It reopened in the aut"
    claims = [fact["claim"] for fact in ask(f"From the file b.md:\n\n{part}", FACTS)["facts"]]
    assert claims == ["The bridge was closed in June 1999 for repairs."]


def test_rows_of_a_table_are_read_with_their_header() -> None:
    table = 'code,service,price\nB10,Adjust brakes,12.00\nB20,Replace pads,"14,50"\nC10,Replace chain,15.00\n'
    facts = ask(f"From the file p.csv:\n\n{table}", FACTS)["facts"]
    assert [fact["claim"] for fact in facts][:2] == [
        "code: B10; service: Adjust brakes; price: 12.00",
        "code: B20; service: Replace pads; price: 14,50",
    ]
    assert all(fact["quote"] in table for fact in facts)


def test_a_summary_of_facts_has_three_sentences_at_most_and_topics() -> None:
    schema = {
        "type": "object",
        "properties": {
            "summary": {"type": "string", "description": "three sentences at most"},
            "topics": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["summary", "topics"],
    }
    facts = "\n".join(
        f"- {claim} ({sure})"
        for claim, sure in [
            ("The harbour was dredged in 2024.", "high"),
            ("The harbour was dredged in 2024.", "high"),
            ("The ferry runs twice a day.", "high"),
            ("Fares may rise.", "low"),
            ("The ticket office is closed on Sundays.", "high"),
        ]
    )
    got = ask(f"Summarise h.md for a reader who has not seen it.\n\n\n## Dredging\n\n{facts}\n\n## Ferries\n- Boats are white (high)", schema)
    assert got["summary"].count(".") <= 3 and got["summary"].count("dredged") == 1
    assert "(high)" not in got["summary"] and "Summarise" not in got["summary"]
    assert got["topics"] == ["Dredging", "Ferries"]


def test_a_digest_is_markdown_with_one_bullet_for_each_document() -> None:
    text = (
        "Write a one-page digest in Markdown: one paragraph for the whole, then one bullet per document.\n\n\n"
        "### harbour.md (3 parts)\nThe harbour of Aldmouth was dredged in 2024. Ships of 9.5 m draught can enter.\n\n\n"
        "### bees.md (1 parts)\nWild bees declined by 18 percent in ten years. Hedgerows brought some back.\n"
    )
    lines = ask(text).splitlines()
    assert lines[0] == "# Digest"
    assert [line for line in lines if line.startswith("- ")] == [
        "- **harbour.md** (3 parts): The harbour of Aldmouth was dredged in 2024. Ships of 9.5 m draught can enter.",
        "- **bees.md** (1 part): Wild bees declined by 18 percent in ten years. Hedgerows brought some back.",
    ]
    assert lines[2].startswith("2 documents")


@pytest.mark.parametrize(
    ("task", "check"),
    [
        ("Summarise this in two sentences.", lambda text: text.count(". ") <= 2),
        ("Summarise in one sentence:", lambda text: "\n" not in text and len(text.split()) < 40),
        ("Give three bullet points.", lambda text: len(text.splitlines()) == 3 and text.startswith("- ")),
        ("Summarise this in at most 20 words.", lambda text: len(text.split()) <= 20),
        ("Write a summary in two paragraphs.", lambda text: text.count("\n\n") == 1),
    ],
)
def test_lengths_and_forms_are_heard(task: str, check: Any) -> None:
    text = ask(f"{task}\n\n{HARBOUR}")
    assert check(text), text
    for sentence in flat(text.replace("- ", "")).split(". "):
        assert sentence.rstrip(".")[:25] in flat(HARBOUR)


def test_questions_are_answered_from_the_text_or_not_at_all() -> None:
    assert "5 March 2024" in ask(f"{HARBOUR}\n\nWhen was the harbour dredged?")
    assert "twice a day" in ask(f"How often does the ferry to Skarholm run?\n\n{HARBOUR}")
    assert ask(f"Who won the election in Portugal?\n\n{HARBOUR}") == "The text does not say."


def test_without_a_text_it_says_so() -> None:
    assert ask("Write a haiku about autumn.").startswith("(offline/text only works on text that it is given")


@pytest.mark.parametrize(
    ("text", "task", "material"),
    [
        ("From the file a:\n\nIt rains.\n\nIt pours.", "From the file a:", "It rains.\n\nIt pours."),
        ("It rains here.\n\nSummarise this.", "Summarise this.", "It rains here."),
        ("Summarise: It rains in the whole of Wales today.", "Summarise:", "It rains in the whole of Wales today."),
        ("It rains.\n\nIt pours.", "", "It rains.\n\nIt pours."),
        ("From the file a:\n\nWrite to us:\n\nIt pours.", "From the file a:", "Write to us:\n\nIt pours."),
        ("Is it wet?", "Is it wet?", ""),
    ],
)
def test_instructions_are_told_from_material(text: str, task: str, material: str) -> None:
    assert split_task(text) == (task, material)


def test_marked_material_is_taken_as_it_is() -> None:
    body = "List the towns. Write them down. " * 5
    assert split_task(f"Who?\n<document>\n{body}\n</document>\nBe brief.")[1] == body


@pytest.mark.parametrize(
    ("name", "schema", "expected"),
    [
        ("when", {"type": "string", "format": "date"}, "2024-03-05"),
        ("mail", {"type": "string", "format": "email"}, "office@aldmouth.example"),
        ("link", {"type": "string", "format": "uri"}, "https://aldmouth.example/ferries"),
        ("year", {"type": "integer", "minimum": 2000, "maximum": 2100}, 2024),
        ("draught", {"type": "number", "maximum": 9.6}, 9.5),
        ("language", {"type": "string"}, "en"),
        ("cost", {"type": "string"}, "€2.4 million"),
        ("harbour_master", {"type": ["string", "null"], "format": "uuid"}, None),
        ("boats", {"type": "array", "items": {"type": "string", "format": "ipv4"}}, []),
        ("kind", {"enum": ["airport", "harbour", "station"]}, "harbour"),
        ("kind", {"enum": ["red", "other", "blue"]}, "other"),
        ("version", {"const": 3}, 3),
        ("code", {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, "2025-01-15"),
        ("code", {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}, "AA-000"),
        ("mentions_ferry", {"type": "boolean"}, True),
        ("mentions_trains", {"type": "boolean"}, False),
        ("score", {"type": "integer", "minimum": 0, "maximum": 100}, 50),
        ("sections", {"type": "array", "items": {"type": "string"}}, ["Harbour report 2024", "Ferries"]),
        ("questions", {"type": "array", "items": {"type": "string"}}, ["Is the evening boat on time?"]),
    ],
)
def test_names_say_what_is_looked_for(name: str, schema: dict[str, Any], expected: Any) -> None:
    assert field(schema, name=name) == expected


def test_labels_are_looked_up() -> None:
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in ("company", "contact_person")}}
    lead = 'Lead: {"name": "Ann", "company": "Acme \\"North\\""}\n\nContact person: Bo Ek\n'
    assert ask(f"Read the lead.\n\n{lead}", schema) == {"company": 'Acme "North"', "contact_person": "Bo Ek"}


def test_names_of_people_are_found() -> None:
    people = field({"type": "array", "items": {"type": "string"}}, name="people")
    assert "Ana Weiss" in people and "Skarholm" in people and not any(name.startswith("The") for name in people)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
        {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
        {"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
        {"type": "array", "items": {"type": "string"}, "contains": {"const": "q"}},
        {"oneOf": [{"type": "integer", "minimum": 5}, {"type": "string", "maxLength": 3}]},
        {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]},
        {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"required": ["a", "b"]}]},
        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["v"], "properties": {
            "v": {"type": "string"}, "next": {"$ref": "#/$defs/node"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}}},
        {"type": "string", "minLength": 400, "maxLength": 410},
        {"type": "string", "maxLength": 5},
        {"type": "string", "pattern": "^(foo|bar)-[a-f0-9]{8}(-x)?$"},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "multipleOf": 7, "minimum": 10},
        {"type": "integer", "maximum": -4},
        {"type": "object", "minProperties": 2},
        {"type": "object", "patternProperties": {"^k": {"type": "boolean"}}, "required": ["k1"], "additionalProperties": False},
        {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"],
         "if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"], "properties": {"b": {"type": "string", "format": "date"}}}},
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"], "dependentRequired": {"a": ["b"]}},
        {"type": "object", "properties": {f: {"type": "string", "format": f} for f in (
            "date", "date-time", "time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname", "duration")}, "required": ["date-time", "uuid", "ipv6"]},
        {"type": ["integer", "string"]},
        {"type": "null"},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)  # fmt: skip
@pytest.mark.parametrize("text", [HARBOUR, "x", ""])
def test_any_schema_gets_a_value_that_fits(schema: dict[str, Any], text: str) -> None:
    ask(f"Read this:\n\n{text}", schema)


def test_a_schema_that_nothing_fits_is_an_error() -> None:
    with pytest.raises(StepError) as caught:
        ask(HARBOUR, {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 4}}, "required": ["a"]})
    assert caught.value.type == "invalid_output"


NAMES = st.sampled_from(["title", "summary", "date", "people", "score", "is_open", "tags", "x", "price", "quote", "year"])


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def built(properties: dict[str, dict[str, Any]], optional: set[str], closed: bool) -> dict[str, Any]:
        made = {"type": "object", "properties": properties, "required": [name for name in properties if name not in optional]}
        return {**made, "additionalProperties": False} if closed else made

    return st.builds(built, st.dictionaries(NAMES, inner, max_size=4), st.sets(NAMES, max_size=3), st.booleans())


def bounded(low: int, span: int, kind: str) -> dict[str, Any]:
    return {"type": kind, "minimum": low, "maximum": low + span}


LEAVES = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": ["string", "null"]}),
    st.just({"type": "boolean"}),
    st.builds(bounded, st.integers(-50, 3000), st.integers(0, 100), st.sampled_from(["integer", "number"])),
    st.builds(lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span}, st.integers(0, 60), st.integers(0, 60)),
    st.builds(lambda form: {"type": "string", "format": form}, st.sampled_from(["date", "email", "uri", "time", "ipv4"])),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from(["low", "high", "other", 3, None]), min_size=1, unique=True)),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        objects(inner),
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, st.sampled_from([HARBOUR, "Nothing", "a, b\n1, 2", "Ünï: «çödé» 中文。日本"]))
def test_schemas_made_at_random_are_satisfied(schema: dict[str, Any], text: str) -> None:
    ask(f"Read this:\n\n{text}", schema)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_survived(text: str) -> None:
    assert isinstance(ask(text), str)
    found = ask(f"From the file x:\n\n{text}", FACTS)
    for fact in found["facts"]:
        assert fact["quote"].strip() == "" or fact["quote"] in text


def test_the_prompts_of_the_sample_workflow_read_well() -> None:
    """The three prompts of doc_ingest over the documents that come with the project."""
    rules = (ROOT / "workflows/samples/workshop-rules.txt").read_text("utf-8")
    minutes = next((ROOT / "workflows/samples").glob("minutes-*.md")).read_text("utf-8")
    documents = []
    for name, text in (("rules.txt", rules[:1200]), ("minutes.md", minutes[:1200])):
        facts = through("extract_facts", part=text, file_name=name)
        assert 1 <= len(facts["title"].split()) <= 8 and len(facts["facts"]) >= 3
        assert all(fact["quote"] in text for fact in facts["facts"])
        short = through("summarize_document", file_name=name, facts=[facts])
        assert 20 < len(short["summary"].split()) < 150 and short["topics"]
        assert all(sentence in flat(text) for sentence in short["summary"].split(". ")[:1])
        documents.append({"name": name, "parts": 1, "summary": short["summary"]})
    lines = through("digest", documents=documents).splitlines()
    assert lines[0] == "# Digest" and lines[2].startswith("2 documents")
    assert [line.split(":")[0] for line in lines[4:]] == ["- **rules.txt** (1 part)", "- **minutes.md** (1 part)"]


def through(prompt: str, **inputs: Any) -> Any:
    """What the offline model answers to a prompt file of the project."""
    path = ROOT / f"workflows/prompts/{prompt}.md"
    read = parse_prompt(load_prompt_source(path, path.name))
    answer = complete(read.render(inputs), read.schema)
    return answer.text if read.schema is None else answer.parsed


def test_the_same_question_has_the_same_answer_in_every_process() -> None:
    code = (
        "import json;from aiflow.models.offline import complete, embed;from aiflow.models.calls import EmbedRequest;"
        "from tests.unit.test_offline import FACTS, HARBOUR;"
        "print(complete([{'role': 'user', 'content': 'From the file a:\\n\\n' + HARBOUR}], FACTS).text);"
        "print(embed('offline/embedding', EmbedRequest(['the harbour'], ())).vectors)"
    )
    outs = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    ]
    assert outs[0] == outs[1] and outs[0]


def test_a_part_of_1200_characters_takes_less_than_10_ms() -> None:
    part = (HARBOUR * 2)[:1200]
    took = []
    for _ in range(15):
        began = time.process_time()
        ask(f"From the file a.md:\n\n{part}", None)
        complete([{"role": "user", "content": f"From the file a.md:\n\n{part}"}], FACTS)
        took.append(time.process_time() - began)
    print(f"{min(took) * 1000:.1f} ms")
    assert min(took) < 0.02  # 10 ms each, text and JSON


def test_what_it_used_is_estimated_and_free() -> None:
    answer = chat("offline/text", ChatRequest([{"role": "user", "content": HARBOUR}], ("offline/text",)))
    assert answer.offline and answer.model == "offline/text" and answer.usage.cost == 0.0
    assert answer.usage.tokens_in == math.ceil(len(HARBOUR) / 4) and answer.usage.calls == 1


def test_vectors_have_length_one_and_are_near_for_near_texts() -> None:
    texts = ["The harbour was dredged in March", "In March they dredged the harbour", "Bees like hedgerows", ""]
    answer = embed("offline/embedding", EmbedRequest(texts, ("offline/embedding",)))
    one, near, far, none = answer.vectors
    assert answer.offline and answer.usage.cost == 0.0
    assert [len(vector) for vector in answer.vectors] == [256] * 4
    assert math.isclose(sum(value * value for value in one), 1.0)
    assert sum(map(lambda a, b: a * b, one, near)) > 0.5 > sum(map(lambda a, b: a * b, one, far))
    assert set(none) == {0.0}


@pytest.mark.parametrize("model", ["offline/embedding", "offline/gpt"])
def test_a_model_that_does_not_answer(model: str) -> None:
    with pytest.raises(StepError, match=r"offline/"):
        chat(model, ChatRequest([], (model,)))
    with pytest.raises(StepError):
        embed("offline/text", EmbedRequest([], ()))
