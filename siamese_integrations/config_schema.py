"""Schema of a run configuration: the pipeline's parameters, its steps, and ZenML's keys around them."""

from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from inspect import signature
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.json_schema import GenerateJsonSchema
from zenml.config.pipeline_run_configuration import PipelineRunConfiguration
from zenml.config.step_configurations import StepConfigurationUpdate

# ZenML would also cache ingest then.
_NeverCached = Annotated[
    Literal[False] | None,
    Field(
        description="Steps after ingest are cached unless this is false.",
        json_schema_extra={
            "errorMessage": "false or left out: at the top level it would also cache ingest, and new images would go "
            "unnoticed"
        },
    ),
]


def run_schema(pipeline: Callable[..., Any], steps: Iterable[str]) -> dict[str, Any]:
    """JSON schema of a YAML file for `zenml pipeline run -c`.

    Args:
        pipeline: The pipeline's function; its signature types `parameters`.
        steps: Names of the pipeline's steps.
    """
    return {"$schema": _Schema.schema_dialect, **run_model(pipeline, steps).model_json_schema(schema_generator=_Schema)}


def run_model(pipeline: Callable[..., Any], steps: Iterable[str]) -> type[BaseModel]:
    """Model that accepts a run configuration and refuses every unknown key.

    Args:
        pipeline: The pipeline's function; its signature types `parameters`.
        steps: Names of the pipeline's steps.
    """
    step = _model("Step", _options(StepConfigurationUpdate)) | None
    names = {f"step_{name}": (step, Field(None, alias=name)) for name in steps}
    arguments = signature(pipeline).parameters.values()
    parameters = {p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in arguments}
    fields = {
        "parameters": (_model("Parameters", parameters), Field(description="Parameters of the pipeline.")),
        "steps": (_model("Steps", names) | None, Field(None, description="Options of single steps, by name.")),
        **_options(PipelineRunConfiguration, besides=("parameters", "steps", "enable_cache")),
        "enable_cache": (_NeverCached, None),
    }
    return _model("RunConfiguration", fields)


class _Schema(GenerateJsonSchema):
    """Without titles, which only repeat the names, and the defaults of sections, which stand at their fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        section = is_dataclass(schema.get("default"))
        return self.generate_inner(schema["schema"]) if section else super().default_schema(schema)


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def _options(model: type[BaseModel], besides: Iterable[str] = ()) -> dict[str, Any]:
    """Keys that ZenML knows; values of its own types, which it also reads from short forms, are left to it."""
    return {
        name: (_plain_type(field.annotation), Field(None, description=field.description))
        for name, field in model.model_fields.items()
        if name not in besides
    }


def _plain_type(annotation: Any) -> Any:
    return Any if "$defs" in TypeAdapter(annotation).json_schema() else annotation | None
