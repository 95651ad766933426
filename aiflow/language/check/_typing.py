"""The types of inputs, items and outputs, as far as they are known, and of expressions over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from aiflow.language.check import _schemas as schemas
from aiflow.language.check._schemas import BOOLEAN, INTEGER, LIST, NULL, NUMBER, STRING, NoField, Type, kind, plain
from aiflow.language.check._sites import Site, item_scope
from aiflow.language.config import kind_defaults, long_form, with_defaults
from aiflow.language.facts import path_of
from aiflow.language.picoschema import read_picoschema
from aiflow.language.syntax import chain, has_braces
from aiflow.language.tree import Node, Path

if TYPE_CHECKING:
    from aiflow.language.check._inspection import Inspection

_TO_INTEGER = frozenset("length count wordcount tokens int".split())
_TO_NUMBER = frozenset("float round mean sum abs".split())
_TO_STRING = frozenset(
    "add capitalize center date e escape filesizeformat forceescape format indent join json lower regex_replace replace sha256 "
    "slug string striptags title tojson trim truncate upper urlencode wordwrap".split()
)
_TO_STRINGS = frozenset({"chunk", "split"})
_SAME_LIST = frozenset("list sort unique select reject selectattr rejectattr compact".split())
_TO_ITEM = frozenset("first last min max".split())
_TO_LIST = frozenset("batch slice flatten groupby items dictsort zip".split())

_DEPTH = 40
"""Outputs that depend on each other, followed at the same time; deeper nothing is known. Keeps recursion short."""


class Types:
    """What is known of the types in one workflow."""

    def __init__(self, look: Inspection) -> None:
        self.look = look
        self._outputs: dict[Node, Type] = {}
        self._results: dict[Node, Type] = {}
        self._ones: dict[Node, Type] = {}
        self._items: dict[Node, Type] = {}
        self._busy: set[tuple[str, Node]] = set()
        self._running = False

    def result_of(self, node: Node) -> Type:
        """What the kind, or a list of steps that handled its failure, gives for one item: `result` in `output`."""
        return self._once("result", self._results, node, self._with_handlers)

    def output_of(self, node: Node) -> Type:
        """`steps.ID.output`"""
        return self._once("output", self._outputs, node, self._output)

    def one_output_of(self, node: Node) -> Type:
        """What one item of an `each` gives, or the step itself."""
        return self._once("one", self._ones, node, self._one_output)

    def item_of(self, node: Node) -> Type:
        """The item of the `each` of a step."""
        return self._once("item", self._items, node, self._item)

    def _once(self, what: str, known: dict[Node, Type], node: Node, make: Callable[[Node], Type]) -> Type:
        if node not in known:
            if (what, node) in self._busy or len(self._busy) > _DEPTH:
                return None
            self._busy.add((what, node))
            try:
                known[node] = make(node)
            finally:
                self._busy.discard((what, node))
        return known[node]

    def _output(self, node: Node) -> Type:
        one = self.one_output_of(node)
        made: Type = {"type": "array", "items": one or {}} if node.has_each else one
        if node.data.get("else") is None or node.else_in_body:
            return made
        return self._either([made], [node.lists.get("else", [])])

    def _either(self, types: list[Type], lists: list[list[Node]]) -> Type:
        """One of some types, or the output of one of some lists of steps, those left out that always end the run."""
        for steps in lists:
            if not steps:
                return None
            if not _ends(steps[-1]):
                types = [*types, self.output_of(steps[-1])]
        return schemas.union(types)

    def _with_handlers(self, node: Node) -> Type:
        """What the kind gives, or the handlers that make up for a failure."""
        made = self._result(node)
        handlers = [node.lists.get(word, []) for word in ("on_error", "on_timeout") if isinstance(node.data.get(word), list)]
        return self._either([made], handlers) if handlers and made is not None else None if handlers else made

    def _one_output(self, node: Node) -> Type:
        if "output" not in node.data:
            return self.result_of(node)
        scope = {**item_scope(node), "result": node}
        if node.has_each:
            scope.update({node.item_name: node, "index": node, "previous": node})
        elif node.repeats:
            scope.update({"index": node, "previous": node})
        return self.of_value(node.data["output"], (*node.path, "output"), node, scope)

    def _item(self, node: Node) -> Type:
        given = node.data.get("each")
        if isinstance(given, list):
            return (
                {"enum": given}
                if given and all(isinstance(one, (str, int)) for one in given)
                else (schemas.of_value(given[0]) if len(given) == 1 else None)
            )
        if not isinstance(given, str):
            return None
        found = plain(self.of_text(given, True, (*node.path, "each"), node, item_scope(node)))
        return plain(found.get("items")) if found is not None and kind(found) == "array" else None

    def _result(self, node: Node) -> Type:
        found = node.kind
        if found is None:
            return None
        value = node.data.get(found.name)
        match found.lists:
            case "list":
                inner = node.lists.get("do")
                return self.output_of(inner[-1]) if inner else None
            case "branches":
                return self._branches(node)
            case "cases":
                lists = [*node.branches.values()]
                return self._either([], [*lists, node.lists["else"]] if node.else_in_body and "else" in node.lists else lists)
        if found.whole:
            scope = item_scope(node)
            if node.has_each:
                scope = {**scope, node.item_name: node, "index": node, "previous": node}
            elif node.repeats:
                scope = {**scope, "index": node, "previous": node}
            return self.of_value(value, (*node.path, found.name), node, scope)
        config = long_form(found, value, self.look.file.parent)
        if found.name == "llm":
            return self._llm(node, config)
        match found.name:
            case "call":
                return self._call_of(node, config)
            case "wait_for":
                return self.event_of(_texts(config.get("event")), more=False)
            case "python":
                return self._returned(config.get("function"))
        made = found.output_schema
        if callable(made):
            try:
                made = made(config)
            except Exception:
                made = None
        made = schemas.closed(plain(made))
        if found.name == "approve" and made is not None and isinstance(config.get("form"), dict):
            form, faults = read_picoschema(config["form"])
            return {**made, "properties": {**made["properties"], "form": {} if faults else form}}
        return made

    def _call_of(self, node: Node, config: Mapping[str, Any]) -> Type:
        """What a called workflow gives back."""
        if config.get("detach") is True:
            return {"type": "object", "properties": {"run_id": STRING}, "additionalProperties": False}
        workflows = self.look.workflows
        file = next((file for one, _, _, file in self.look.calls if one is node), None)
        if config.get("detach") or workflows is None or file is None or not file.is_file():
            return None
        other = workflows.read(file).look
        return None if other is None else other.types.of_run()

    def of_run(self) -> Type:
        """What a run of this workflow gives back; None when it may also stop early with something else."""
        if any(node.kind is not None and node.kind.name == "stop" for node in self.look.tree.nodes):
            return None
        outputs, steps = self.look.data.get("outputs"), self.look.tree.steps
        if isinstance(outputs, dict):
            if self._running:
                return None
            self._running = True
            try:
                return self.of_value(outputs, ("outputs",), None, {})
            finally:
                self._running = False
        return self.output_of(steps[-1]) if steps else None

    def event_of(self, names: list[str], *, more: bool = True) -> Type:
        """An event of one of these names. `more`: with what webhooks have besides."""
        data = [schemas.OWN_EVENTS.get(name) or self.look.definitions.event_data(name) for name in names]
        fields = {**schemas.EVENT["properties"], "data": schemas.union(data) or {}}
        if not more:
            fields = {name: one for name, one in fields.items() if name not in ("headers", "query")}
        return {**schemas.EVENT, "properties": fields}

    def _event(self, site: Site) -> Type:
        """`event` at a place: the one that comes in, or that which started the run."""
        if site.path[0] in ("triggers", "cancel_on"):
            one = self.look.data[str(site.path[0])][site.path[1]]
            return self.event_of(_texts(one.get("event")), more="webhook" in one)
        if site.role == "match" and site.node is not None and site.node.kind is not None:
            written = site.node.data.get(site.node.kind.name)
            return self.event_of(_texts(written.get("event") if isinstance(written, dict) else written), more=False)
        return schemas.EVENT

    def _returned(self, function: Any) -> Type:
        """What the annotation of a Python function says that it returns."""
        if not isinstance(function, str):
            return None
        from aiflow.language.check._python_source import Module

        name, _, attribute = function.partition(":")
        module = self.look.module_at(name) if name else None
        signature = module.functions.get(attribute) if isinstance(module, Module) else None
        return None if signature is None else signature.returns

    def _branches(self, node: Node) -> Type:
        """`parallel`: the output of the last step of each branch, by its name; with `join: first` one of them."""
        fields = {name: (self.output_of(steps[-1]) if steps else None) or {} for name, steps in node.branches.items()}
        made = {"type": "object", "properties": fields, "additionalProperties": False}
        return {"type": "object"} if node.data.get("join") == "first" else made

    def _llm(self, node: Node, config: Mapping[str, Any]) -> Type:
        look = self.look
        assert node.kind is not None
        prompt = look.definitions.prompt_at(config["prompt"]) if "prompt" in config else None
        if "prompt" in config and prompt is None:
            return None
        options = prompt.options if prompt is not None else {}
        config = with_defaults(config, kind_defaults(node.kind, *look.layers), options)
        if config.get("tools"):
            return None
        if config.get("schema") is not None:
            try:
                return look.definitions.schema_of(config["schema"])
            except Exception:
                return None
        return prompt.schema if prompt is not None and prompt.schema else STRING

    def of_value(self, value: Any, path: Path, node: Node | None, scope: Mapping[str, Node | None]) -> Type:
        """The type of a value of the file, expressions in it considered."""
        match value:
            case str() if has_braces(value):
                return self.of_text(value, False, path, node, scope)
            case dict():
                fields = {str(key): self.of_value(one, (*path, key), node, scope) or {} for key, one in value.items()}
                return {"type": "object", "properties": fields, "additionalProperties": False}
            case list():
                return LIST
        made = schemas.of_value(value)
        return {key: one for key, one in made.items() if key != "const"} if made else None

    def of_text(self, text: str, bare: bool, path: Path, node: Node | None, scope: Mapping[str, Node | None]) -> Type:
        """The type of one text with an expression."""
        site = Site(path, text, bare, "", "", node, scope)
        if site.tree is None:
            return None
        return self.of(site.tree, site) if site.is_whole else STRING

    def of(self, node: nodes.Node, site: Site) -> Type:
        """The type of an expression, None if unknown."""
        match node:
            case nodes.Const():
                return schemas.of_value(node.value)
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._chain(node, site)
            case nodes.Filter() if node.node is not None:
                return self._filter(node, site)
            case nodes.Test() | nodes.Not() | nodes.Compare():
                return BOOLEAN
            case nodes.And() | nodes.Or():
                sides = [kind(self.of(one, site)) for one in (node.left, node.right)]
                return BOOLEAN if sides == ["boolean", "boolean"] else None
            case nodes.CondExpr():
                one, other = self.of(node.expr1, site), NULL if node.expr2 is None else self.of(node.expr2, site)
                if NULL in (one, other):
                    return other if one == NULL else one
                return {"type": kind(one)} if kind(one) is not None and kind(one) == kind(other) else None
            case nodes.Concat():
                return STRING
            case nodes.Add():
                return self._sum(node, site)
            case nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.FloorDiv() | nodes.Mod():
                sides = [kind(self.of(one, site)) for one in (node.left, node.right)]
                if sides == ["integer", "integer"] and not isinstance(node, nodes.Div):
                    return INTEGER
                return NUMBER if set(sides) <= {"integer", "number"} else None
            case nodes.Neg() | nodes.Pos():
                return {"type": kind(self.of(node.node, site))} if kind(self.of(node.node, site)) else None
            case nodes.List() | nodes.Tuple():
                return LIST
            case nodes.Dict():
                return {"type": "object"}
            case nodes.Call():
                return self._call(node)
        return None

    def walk(self, root: str, path: tuple[str | int | None, ...], site: Site) -> Type | NoField:
        """The type of a reference, or where it leads nowhere."""
        start, found = self.root(root, path, site)
        return schemas.walk(found, path, start) if found is not None else None

    def root(self, root: str, path: tuple[str | int | None, ...], site: Site) -> tuple[int, Type]:
        """The type a reference begins with, and how many parts of its path that takes."""
        if root == "event":
            return 0, self._event(site)
        if root in site.scope:
            owner = site.scope[root]
            if root == "result" and owner is not None and site.role == "until":
                return 0, self.one_output_of(owner)
            return 0, self._local(root, owner)
        match root:
            case "inputs":
                return 0, self.look.definitions.inputs
            case "run":
                return 0, schemas.RUN
            case "step":
                return 0, schemas.STEP
            case "steps" if len(path) >= 2 and isinstance(path[0], str):
                return 2, self._step_field(self.look.tree.by_id.get(path[0]), path[1])
        return 0, None

    def _local(self, name: str, owner: Node | None) -> Type:
        if name == "error":
            return schemas.ERROR
        if owner is None:
            return None
        if name == owner.item_name and name != "result":
            return self.item_of(owner)
        match name:
            case "index":
                return INTEGER
            case "result":
                return self.result_of(owner)
            case "previous":
                return self.one_output_of(owner)
        return None

    def _step_field(self, node: Node | None, name: str | int | None) -> Type:
        if node is None:
            return None
        match name:
            case "output":
                return self.output_of(node)
            case "status":
                return {"enum": schemas.STATUSES}
            case "attempts":
                return INTEGER
            case "usage":
                return schemas.USAGE
            case "error":
                return schemas.ERROR
            case "errors":
                properties = {"index": INTEGER, "item": self.item_of(node) or {}, "error": schemas.ERROR}
                return {"type": "array", "items": {"type": "object", "properties": properties, "additionalProperties": False}}
        return None

    def _chain(self, node: nodes.Node, site: Site) -> Type:
        root, keys = chain(node)
        if not isinstance(root, nodes.Name):
            found = None if isinstance(root, nodes.Getitem) else self.of(root, site)
            walked = schemas.walk(found, path_of(keys))
        else:
            if root.name in loop_names(site):
                return None
            if root.name in ("null", "none"):
                return NULL
            walked = self.walk(root.name, path_of(keys), site)
        return None if isinstance(walked, NoField) else walked

    def _filter(self, node: nodes.Filter, site: Site) -> Type:
        name = node.name
        assert node.node is not None
        if name in _TO_INTEGER:
            return INTEGER
        if name in _TO_NUMBER:
            return NUMBER
        if name in _TO_STRING:
            return STRING
        if name in _TO_STRINGS:
            return {"type": "array", "items": STRING}
        if name in _TO_LIST:
            return LIST
        given = plain(self.of(node.node, site))
        items = plain(given.get("items")) if given is not None and kind(given) == "array" else None
        if name in _SAME_LIST:
            return (
                {"type": "array", "items": items or {}}
                if kind(given) in ("array", None)
                else (LIST if name != "compact" else None)
            )
        if name == "reverse":
            return given
        if name in _TO_ITEM:
            return items
        if name == "map":
            return {"type": "array", "items": self._mapped(node, items) or {}}
        if name in ("default", "d"):
            return self._default(node, given, site)
        return None

    def _mapped(self, node: nodes.Filter, items: Type) -> Type:
        attribute = next((pair.value for pair in node.kwargs if pair.key == "attribute"), None)
        if not isinstance(attribute, nodes.Const) or not isinstance(attribute.value, str):
            return None
        found = schemas.walk(items, tuple(attribute.value.split("."))) if items is not None else None
        return None if isinstance(found, NoField) else found

    def _default(self, node: nodes.Filter, given: Type, site: Site) -> Type:
        if given is None:
            return None
        other = schemas.of_value("") if not node.args else self.of(node.args[0], site)
        if kind(given) != kind(other):
            return None
        return (
            given
            if kind(given) == "object" and not (plain(other) or {}).get("properties")
            else {"type": kind(given)}
            if kind(given) not in ("object", "array")
            else given
        )

    def _sum(self, node: nodes.Add, site: Site) -> Type:
        sides = [kind(self.of(one, site)) for one in (node.left, node.right)]
        if None in sides:
            return None
        if set(sides) <= {"integer", "number"}:
            return NUMBER if "number" in sides else INTEGER
        if sides == ["string", "string"]:
            return STRING
        return LIST if sides == ["array", "array"] else None

    def _call(self, node: nodes.Call) -> Type:
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        return {"now": STRING, "uuid": STRING, "range": {"type": "array", "items": INTEGER}, "zip": LIST}.get(name)


def _texts(given: Any) -> list[str]:
    return [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]


def _ends(node: Node) -> bool:
    """Whether a step always ends the run or fails, and so gives nothing."""
    return node.kind is not None and node.kind.name in ("fail", "stop") and "if" not in node.data and "on_error" not in node.data


def loop_names(site: Site) -> frozenset[str]:
    """Names that `{% for %}` makes somewhere in a text; nothing is known of them."""
    if site.bare or "{%" not in site.text or site.tree is None:
        return frozenset()
    found = {"loop"}
    for loop in site.tree.find_all(nodes.For):
        found |= {name.name for name in [loop.target, *loop.target.find_all(nodes.Name)] if isinstance(name, nodes.Name)}
    return frozenset(found)
