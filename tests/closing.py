"""The OpenAPI document made strict, for tests."""

import json
from typing import Any


def closed(api: dict[str, Any]) -> dict[str, Any]:
    """A copy with every object of an answer closed: a field that it does not tell is a violation."""
    copy: dict[str, Any] = json.loads(json.dumps(api))
    _close(copy)
    return copy


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)
