"""Pipeline parameters as text, for lineage."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def as_json(parameters: Mapping[str, Any]) -> str:
    """Parameters, some of them dataclasses, as one line of JSON."""
    plain = {name: asdict(value) if is_dataclass(value) else value for name, value in parameters.items()}  # type: ignore[arg-type]
    return json.dumps(plain, sort_keys=True)
