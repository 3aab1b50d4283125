"""`latency model`: what a model file holds, and whether it is whole."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..errors import ModelError
from ..predictor import Predictor
from . import answers, console
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


@app.command("verify")
def model_verify(
    ctx: typer.Context,
    model: ModelOption = None,
    sha256: Annotated[str | None, typer.Option(help="The SHA-256 that the file must have, 64 hex digits.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a model file loads, answers its golden rows as it should, and has the SHA-256 that is given.

    Example: latency model verify --model mine.onnx --sha256 "$(cut -d' ' -f1 mine.onnx.sha256)"
    """
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        ctx.fail(f"--sha256: found {sha256!r}; allowed: 64 hex digits, as sha256sum prints them.")
    with console.readable_errors():
        # Loading checks all but the sum.
        predictor = Predictor(model)
        info = predictor.model_info
        if sha256 is not None and sha256.lower() != info["sha256"]:
            raise ModelError(
                f"{model or 'the bundled model'}: found the SHA-256 {info['sha256']}; expected {sha256.lower()}: it is "
                "another file, or was changed on its way",
                "SHA256_MISMATCH",
            )
    golden = len(predictor.schema["golden"])
    if as_json:
        checked = {key: info[key] for key in ("sha256", "bytes")} | {"golden_rows": golden}
        answers.print_json(checked | {"sha256_compared": sha256 is not None}, predictor)
        return
    show = console.out.print
    show(f"[bold]{escape(info['name'])}[/] {info['version']}, {info['bytes']:,} bytes: [green]good[/]")
    show(f"  schema           read and valid, {len(predictor.schema['fields'])} fields")
    show(f"  golden rows      {golden} answered as the file says, on {info['engine']}")
    show(f"  SHA-256          {info['sha256']}", soft_wrap=True, highlight=False)
    show(
        "                   "
        + ("as expected" if sha256 else "compared with nothing: give the expected one as --sha256")
    )
