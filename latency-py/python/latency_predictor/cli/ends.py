"""What the commands about paths share: the options of their ends, and places that begin with a minus sign."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Src = Annotated[str, typer.Argument(help="A place: London, LHR, aws:eu-west-2, or 51.51,-0.13.")]
Dst = Annotated[str, typer.Argument(help="The other end, likewise.")]

ACCESS = "server, wired, wifi, cellular, starlink, residential"
PROVIDER = "aws, azure, gcp, other; a cloud region's name says it already"
SrcAccess = Annotated[str | None, typer.Option(help=f"How SRC is connected: {ACCESS}.")]
DstAccess = Annotated[str | None, typer.Option(help="Likewise for the other end.")]
SrcProvider = Annotated[str | None, typer.Option(help=f"Whose machine SRC is: {PROVIDER}.")]
DstProvider = Annotated[str | None, typer.Option(help="Likewise for the other end.")]
SrcTier = Annotated[str | None, typer.Option(help="The cloud's network tier at SRC: premium, standard.")]
DstTier = Annotated[str | None, typer.Option(help="Likewise for the other end.")]


class PlacesCommand(TyperCommand):
    """A command whose arguments may be coordinates: `-33.87,151.21` is a place, `--src-acces` is a mistake."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ignore_unknown_options = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As every command, after a look at what begins like an option."""
        known = [name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)]
        for arg in args[: args.index("--")] if "--" in args else args:
            option = arg.partition("=")[0]
            if not re.match(r"--?[^-\d. ]", option) or option in known:
                continue
            close = get_close_matches(option, [name for name in known if name.startswith("--")])
            ctx.fail(f"No such option: {option}" + (f". Did you mean {' or '.join(close)}?" if close else ""))
        return super().parse_args(ctx, args)


def given(**fields: str | None) -> dict[str, str]:
    """The fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}
