"""Pipeline parameters as text, for lineage."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python


def as_json(parameters: Mapping[str, Any]) -> str:
    """Parameters, some of them sections of the configuration, as one line of JSON."""
    return json.dumps(to_jsonable_python(parameters), sort_keys=True)
