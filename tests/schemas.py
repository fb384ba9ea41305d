"""The JSON Schemas that are packed with nodescan, ready to hold a file against."""

import json
from functools import cache
from importlib.resources import files

from jsonschema import Draft202012Validator

REPORT, PATIENTS = "reports/report.schema.json", "patients/patients.schema.json"


@cache
def schema_of(file: str) -> Draft202012Validator:
    """file: REPORT or PATIENTS. Raises jsonschema.SchemaError where it is no schema."""
    content = json.loads(files("nodescan").joinpath(file).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)
