"""The text of a prompt file, cut into messages before anything is rendered, so that no value can open a message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiflow.language.yaml_text import Fault

MAX_MESSAGES = 200  # of one prompt; a file has few

_ROLE = re.compile(r"^(?:#[ \t]+)?(system|user|assistant):[ \t]*$", re.M)
# In order: what may hold anything (comments, raw, expressions), blocks with their word, and lines that are a role.
_PARTS = re.compile(
    r"\{#.*?(?:#\}|\Z)"
    r"|\{%[-+]?\s*raw\b.*?(?:\{%[-+]?\s*endraw\s*[-+]?%\}|\Z)"
    r"|\{\{(?>\"[^\"\n]*\"|'[^'\n]*'|.)*?(?:\}\}|\Z)"
    r"|\{%[-+]?\s*(?P<block>\w+)(?>\"[^\"\n]*\"|'[^'\n]*'|.)*?(?:%\}|\Z)"
    r"|^(?:\#[ \t]+)?(?P<role>system|user|assistant):[ \t]*$",
    re.S | re.M,
)
_OPENING = frozenset({"if", "for"})
_INCLUDE = re.compile(r"\{%[-+]?\s*include\s+(?P<quote>[\"'])(?P<name>.*?)(?P=quote)")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as written: its role, its template, and where the template starts in the file (characters)."""

    role: str
    template: str
    start: int


def cut_messages(text: str, start: int) -> tuple[list[Message], list[Fault]]:
    """The messages of the body, which begins at the character `start`. Without roles it is one user message."""
    roles, faults = _find_roles(text, start)
    if not roles:
        message = _message("user", text, start, len(text))
        return [message] if message.template else [], faults
    first = roles[0].start()
    if text[start:first].strip():
        at = start + len(text[start:first]) - len(text[start:first].lstrip())
        end = text.find("\n", at)
        words = "this text belongs to no message: it stands above the first role"
        faults.append(Fault(at, end, words, "text-before-role", "write `system:` or `user:` on a line above it"))
    if len(roles) > MAX_MESSAGES:
        words, hint = f"more than {MAX_MESSAGES} messages in one prompt", "pass a long conversation as `history`"
        return [], [*faults, Fault(roles[MAX_MESSAGES].start(), roles[MAX_MESSAGES].end(), words, "too-many-values", hint)]
    ends = [match.start() for match in roles[1:]] + [len(text)]
    found = [_message(str(match["role"]), text, match.end(), end) for match, end in zip(roles, ends, strict=True)]
    return [message for message in found if message.template], faults


def _find_roles(text: str, start: int) -> tuple[list[re.Match[str]], list[Fault]]:
    """The lines that are a role, outside of blocks, expressions and comments."""
    roles: list[re.Match[str]] = []
    faults: list[Fault] = []
    blocks: list[str] = []
    for match in _PARTS.finditer(text, start):
        word = match["block"]
        if word in _OPENING:
            blocks.append(word)
        elif word is not None and word.startswith("end") and blocks:
            blocks.pop()
        elif match["role"] and blocks:
            message = f"a message cannot begin inside of `{{% {blocks[-1]} %}}`"
            hint = "put the block inside of the message; a conversation is passed as `history`"
            faults.append(Fault(match.start(), match.end(), message, "role-in-block", hint))
        elif match["role"]:
            roles.append(match)
    return roles, faults


def _message(role: str, text: str, start: int, end: int) -> Message:
    """The message without the empty lines around it."""
    piece = text[start:end]
    lead = re.match(r"(?:[ \t]*\n)*", piece)
    begin = lead.end() if lead else 0
    return Message(role, piece[begin:].rstrip(), start + begin)


def included(text: str) -> list[tuple[str, int]]:
    """Names in `{% include %}` and where they stand, each once."""
    found: dict[str, int] = {}
    for match in _INCLUDE.finditer(text):
        found.setdefault(match["name"], match.start("name"))
    return list(found.items())


def roles_in_partial(text: str) -> list[Fault]:
    """Lines in an included file that look like a role, which they cannot be."""
    hint = "roles stand in the prompt itself; to keep the word, write it with other text on the line"
    return [
        Fault(match.start(), match.end(), "an included file cannot begin a message", "role-in-block", hint)
        for match in _ROLE.finditer(text)
    ]


def bad_include(name: str) -> str:
    """Why a file cannot be included under this name, or nothing."""
    parts = name.replace("\\", "/").split("/")
    if not name.strip() or "\0" in name:
        return "the name of the file to include is empty"
    if name.startswith(("/", "~")) or ".." in parts or ":" in parts[0] or "\\" in name:
        return f"`{name}` cannot be included: paths are relative and stay in the folder of the prompt"
    return ""
