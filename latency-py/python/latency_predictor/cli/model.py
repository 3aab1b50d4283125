"""`latency model`: what a model file holds."""

from __future__ import annotations

import json

import typer
from rich.markup import escape
from rich.table import Table

from ..predictor import Predictor
from . import console
from .console import JsonOption, ModelOption

app = typer.Typer(help="Look at model files.", no_args_is_help=True)


@app.command("info")
def model_info(model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Show what a model file holds.

    Example: latency model info --model mine.onnx
    """
    with console.readable_errors():
        predictor = Predictor(model)
    info, schema = predictor.model_info, predictor.schema
    if as_json:
        print(json.dumps(info))
        return
    console.out.print(f"[bold]{escape(info['name'])}[/] {info['version']} on {info['engine']}, {info['bytes']:,} bytes")
    fields = Table("field", "type", "allowed", "required")
    for field in schema["fields"]:
        if field["type"] == "category":
            allowed = escape(", ".join(field["categories"]))
        else:
            limits = [f"{field[end]:g}" for end in ("min", "max") if end in field]
            allowed = " to ".join(limits) + f" {field.get('unit', '')}" if limits else "any finite number"
        fields.add_row(escape(field["name"]), field["type"], allowed, "yes" if field.get("required") else "no")
    console.out.print(fields)
    console.out.print_json(data=info["provenance"])
