"""Options that several commands have, in the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

RUN = "The run"
"""The panel of what every job command takes."""

Size: TypeAlias = Literal["1K", "2K", "4K"]

PathsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="PATHS", help="Pictures (JPEG, PNG, WebP), or folders of them."),
]
JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="Ids of jobs; `piktid jobs` lists them."),
]
OutOption = Annotated[
    Path, typer.Option(help="Folder for the results; made if need be.", rich_help_panel=RUN)
]
ProjectOption = Annotated[
    str,
    typer.Option(help="Project at the service; made if need be.", rich_help_panel=RUN),
]
SandboxOption = Annotated[
    bool,
    typer.Option(
        "--sandbox", help="Use a local sandbox instead of the service.", rich_help_panel=RUN
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Longest wait for one job.", rich_help_panel=RUN),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the results of an older run.", rich_help_panel=RUN),
]
JobJsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the outcome as JSON on standard output.", rich_help_panel=RUN
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")
]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print each as one line of JSON.")]
EngineOption = Annotated[str, typer.Option(help="Engine; a named one has no safety fallback.")]
SizeOption = Annotated[
    Size | None,
    typer.Option(help="3, 5 or 10 credits per result; the service's own choice if left out."),
]
VariationsOption = Annotated[int, typer.Option(min=1, max=8, help="Results, each paid for.")]
IdentityOption = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Who is to be seen: see `piktid identities`; the sandbox has "
        "default-pro-00000001 to 6.",
    ),
]
IdentityImageOption = Annotated[
    Path | None,
    typer.Option(help="A picture to make the identity of, named after the file; takes a slot."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Leave a page of the run, with all pictures in it, as this .html file.",
        rich_help_panel=RUN,
    ),
]

PROJECT = "piktid-cli"
"""The project of those who name none."""
