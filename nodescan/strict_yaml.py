"""YAML as settings and model cards are written in it: nothing that hides a mistake."""

import re
import reprlib
from collections.abc import Hashable, Mapping
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

_ODD_NUMBER = re.compile(r"^[-+]?0[0-9_xb]|[:_]")
"""YAML 1.1 takes 0160 for 112, 0x10 for 16 and 1:30 for 90."""


class StrictLoader(yaml.SafeLoader):
    """YAML without what hides a mistake: keys given twice or that aren't text, aliases, tags, octal numbers, times."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ComposerError(
                None, None, "aliases are not allowed, write the value where it belongs", self.peek_event().start_mark
            )
        event = self.peek_event()
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise ComposerError(None, None, f"the tag {event.tag!r} is not allowed, remove it", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConstructorError(None, None, f"key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise ConstructorError(None, None, f"key '{key}' stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> float:
        if _ODD_NUMBER.search(node.value):
            said = f"write {reprlib.repr(node.value)} as a plain decimal number"
            raise ConstructorError(None, None, said, node.start_mark)
        whole = node.tag.endswith(":int")
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)


for _kind in ("int", "float"):
    StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", StrictLoader.construct_number)


def what_is_wrong(error: Mapping[str, Any]) -> str:
    """With a value, in words that follow its key. error: of pydantic's ErrorDetails."""
    match error["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "unknown key, remove it or correct its spelling"
        case "missing":
            return "missing, every key must be given"
        case "dataclass_type":
            return "should hold keys of its own"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case _:
            expected = error["msg"].removeprefix("Input ")
            return f"{expected}, not {reprlib.repr(error['input'])}"
