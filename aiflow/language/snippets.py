"""Steps and workflows that editors offer as a whole. `${1:text}` is a place to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORKFLOW: tuple[Mapping[str, Any], ...] = (
    {
        "label": "workflow",
        "description": "A workflow with an input and a first step.",
        "body": {
            "name": "${1:digest}",
            "description": "${2:What it is for.}",
            "inputs": {"${3:folder}": "${4:string}"},
            "steps": [{"id": "${5:found}", "files": '"{{ inputs.${3:folder} \\}\\}/*.md"'}],
        },
    },
)

FIRST_STEP: Mapping[str, Any] = {
    "label": "a first step",
    "description": "A step that asks a model.",
    "body": {"id": "${1:summary}", "llm": "${2:prompts/summarize.md}"},
}

STEPS: tuple[Mapping[str, Any], ...] = (
    {
        "label": "ask a model",
        "description": "A prompt file, with the values of its inputs.",
        "body": {
            "id": "${1:summary}",
            "llm": "${2:prompts/summarize.md}",
            "with": {"${3:text}": '"{{ ${4:inputs.text} \\}\\}"'},
        },
    },
    {
        "label": "ask a model for an object",
        "description": "A prompt in the step, and the fields of the answer.",
        "body": {
            "id": "${1:facts}",
            "llm": {
                "text": '"${2:What is this about?} {{ ${3:inputs.text} \\}\\}"',
                "schema": {"${4:title}": "${5:string}"},
            },
        },
    },
    {
        "label": "for each item",
        "description": "The step once per item of a list, several at the same time.",
        "body": {
            "id": "${1:summaries}",
            "each": "${2:steps.found.output}",
            "as": "${3:file}",
            "concurrency": "${4:10}",
            "llm": "${5:prompts/summarize.md}",
            "with": {"text": '"{{ ${3:file}.text \\}\\}"'},
        },
    },
    {
        "label": "call a web address",
        "description": "A request with a key, repeated when the network fails.",
        "body": {
            "id": "${1:sent}",
            "http": {
                "url": "${2:https://api.example.com/v1/items}",
                "method": "${3|POST,GET,PUT,PATCH,DELETE|}",
                "headers": {"Authorization": '"Bearer {{ secrets.${4:API_KEY} \\}\\}"'},
                "json": {"${5:text}": '"{{ ${6:inputs.text} \\}\\}"'},
            },
            "retry": "${7:3}",
        },
    },
    {
        "label": "if and else",
        "description": "Steps for when a condition is true, and others for when it is not.",
        "body": {
            "if": "${1:inputs.urgent}",
            "do": [{"set": {"${2:how}": "${3:fast}"}}],
            "else": [{"set": {"${2:how}": "${4:slow}"}}],
        },
    },
    {
        "label": "again until",
        "description": "Steps that are repeated until something is true.",
        "body": {
            "id": "${1:ready}",
            "until": "${2:result.body.ready}",
            "every": "${3:30s}",
            "max": "${4:20}",
            "http": "${5:https://api.example.com/v1/state}",
        },
    },
    {
        "label": "side by side",
        "description": "Lists of steps at the same time; the output has what each branch gave.",
        "body": {
            "id": "${1:sides}",
            "parallel": {
                "${2:one}": [{"llm": "${3:prompts/one.md}"}],
                "${4:other}": [{"llm": "${5:prompts/other.md}"}],
            },
        },
    },
    {
        "label": "wait for an event",
        "description": "Pause until something happens outside, or for a while.",
        "body": {
            "id": "${1:paid}",
            "wait_for": "${2:order.paid}",
            "match": "${3:event.data.order_id == inputs.order_id}",
            "timeout": "${4:3d}",
            "on_timeout": "${5|continue,stop|}",
        },
    },
)
"""In the order in which they are learnt."""
