"""Words of other workflow languages and tools, and ours for them."""

from __future__ import annotations

from collections.abc import Mapping

FOREIGN_STEP: Mapping[str, str] = {
    "foreach": "each", "for_each": "each", "for-each": "each", "forEach": "each", "for": "each", "loop": "each",
    "with_items": "each", "withItems": "each", "items": "each", "map": "each", "iterate": "each", "over": "each",
    "when": "if", "condition": "if", "only_if": "if", "unless": "if", "where": "if",
    "otherwise": "else", "default": "else",
    "item_name": "as", "loop_var": "as", "var": "as", "item_var": "as",
    "register": "id", "key": "id", "step": "id",
    "title": "name", "label": "name", "description": "name", "displayName": "name",
    "retries": "retry", "max_retries": "retry", "attempts": "retry", "max_attempts": "retry", "retry_on": "retry",
    "continue-on-error": "on_error", "continue_on_error": "on_error", "ignore_errors": "on_error", "catch": "on_error",
    "rescue": "on_error", "on_failure": "on_error", "onError": "on_error", "on-error": "on_error", "except": "on_error",
    "timeout-minutes": "timeout", "timeout_seconds": "timeout", "timeoutSeconds": "timeout", "time_limit": "timeout",
    "max_parallel": "concurrency", "max-parallel": "concurrency", "parallelism": "concurrency", "batch_size": "concurrency",
    "max_concurrency": "concurrency", "args": "with", "arguments": "with", "params": "with", "inputs": "with",
    "vars": "with", "env": "with", "input": "with", "outputs": "output", "result": "output", "returns": "output",
    "rate_limit": "throttle", "idempotent": "repeatable",
    "run": "shell", "script": "shell", "bash": "shell", "cmd": "shell", "command": "shell", "sh": "shell",
    "prompt": "llm", "model": "llm", "ai": "llm", "openai": "llm", "chat": "llm", "completion": "llm",
    "function": "python", "request": "http", "fetch": "http", "curl": "http", "url": "http", "get": "http",
    "sleep": "wait", "delay": "wait", "pause": "wait", "block": "do", "steps": "do", "then": "do", "sequence": "do",
    "tasks": "do", "raise": "fail", "throw": "fail", "error": "fail", "return": "stop", "exit": "stop", "end": "stop",
    "set_fact": "set", "assign": "set", "variables": "set", "glob": "files", "embedding": "embed",
    "embeddings": "embed", "mail": "email", "subworkflow": "call", "workflow": "call",
}  # fmt: skip
"""Words of other languages in a step and ours for them."""

FOREIGN_SENTENCES: Mapping[str, str] = {
    "needs": "steps run from top to bottom; move this step below the ones it needs",
    "depends_on": "steps run from top to bottom; move this step below the ones it needs",
    "dependsOn": "steps run from top to bottom; move this step below the ones it needs",
    "depends-on": "steps run from top to bottom; move this step below the ones it needs",
    "after": "steps run from top to bottom; move this step below the ones it needs",
    "next": "steps run from top to bottom; the next step is the one below",
    "goto": "steps run from top to bottom; nothing jumps",
    "uses": "aiflow has no actions; say what to do with one kind: python: module:function",
    "type": "aiflow says what a step does by its kind, a key of its own",
    "kind": "aiflow says what a step does by its kind, a key of its own",
    "action": "aiflow says what a step does by its kind, a key of its own",
    "matrix": "aiflow says: each, one inside the other",
    "strategy": "aiflow says: each, one inside the other",
    "while": "aiflow has no while; for lists there is `each`",
    "runs-on": "steps run on any worker; drop this",
    "always": "aiflow says: finally, at the top of the workflow",
}
"""Words of other languages in a step that need a sentence."""

FOREIGN_TOP: Mapping[str, str] = {
    "on": "triggers", "trigger": "triggers", "schedule": "triggers", "cron": "triggers",
    "jobs": "steps", "tasks": "steps", "nodes": "steps", "stages": "steps", "do": "steps", "workflow": "steps",
    "title": "name", "id": "name", "displayName": "name", "summary": "description",
    "params": "inputs", "parameters": "inputs", "input": "inputs", "arguments": "inputs", "args": "inputs",
    "output": "outputs", "results": "outputs", "returns": "outputs", "retries": "defaults", "retry": "defaults",
    "always": "finally", "on_failure": "on_error", "onError": "on_error", "catch": "on_error", "max_cost": "budget",
    "timeout-minutes": "timeout", "timeout_seconds": "timeout", "model": "defaults",
}  # fmt: skip
"""Words of other languages at the top of a workflow and ours for them."""

FOREIGN_TOP_SENTENCES: Mapping[str, str] = {
    "version": "drop it: runs keep the version they started with; the version of the language is `aiflow: 1`",
    "apiVersion": "drop it: the version of the language is `aiflow: 1`",
    "kind": "drop it: a file in workflows/ is a workflow",
    "env": "drop it: the environment is read as env.NAME in expressions",
    "vars": "values come from `inputs`, or from a step: - set: {name: value}",
    "variables": "values come from `inputs`, or from a step: - set: {name: value}",
    "secrets": "drop it: secrets are read as secrets.NAME",
}
"""Words of other languages at the top that need a sentence."""

FOREIGN_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "http": {"data": "json", "params": "query", "uri": "url", "payload": "json", "content": "body", "output": "save",
             "verb": "method", "type": "method", "files": "form"},
    "llm": {"messages": "history", "system_prompt": "system", "output_schema": "schema", "response_format": "schema",
            "format": "schema", "file": "prompt", "template": "prompt", "prompt_file": "prompt", "user": "text",
            "files": "attach", "images": "attach", "max_length": "max_tokens", "max_output_tokens": "max_tokens",
            "temp": "temperature"},
    "write": {"path": "to", "file": "to", "content": "text", "body": "text", "json": "data", "rows": "data", "mode": "append"},
    "read": {"path": "from", "file": "from", "url": "from", "sql": "query", "format": "as", "type": "as"},
    "shell": {"command": "run", "script": "run", "cmd": "run", "dir": "cwd", "working_directory": "cwd", "workdir": "cwd",
              "shell": "interpreter", "exit_codes": "expect", "artifacts": "files", "outputs": "files"},
    "embed": {"text": "input", "texts": "input", "data": "input"},
    "wait": {"seconds": "for", "duration": "for", "time": "for", "till": "until", "tz": "timezone", "zone": "timezone"},
    "fail": {"error": "message", "reason": "message", "text": "message", "code": "type"},
    "stop": {"message": "reason", "output": "outputs", "result": "outputs"},
    "assert": {"condition": "that", "if": "that", "test": "that", "error": "message", "msg": "message"},
    "files": {"path": "glob", "pattern": "glob", "folder": "glob"},
}  # fmt: skip
"""Words of other tools inside the options of a kind and ours for them."""
