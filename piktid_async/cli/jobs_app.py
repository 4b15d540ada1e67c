"""`piktid jobs`, `results`, `download` and `zip`: the commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from piktid_async.cli.framing import in_one_sentence, tell, tell_table
from piktid_async.cli.options import JobsArgument, JsonOption

KindOption = Annotated[
    str | None,
    typer.Option(help="The service's name for a kind, such as garment_recolor."),
]
WaitOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Longest wait for the end of a job.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files of the same name.")
]


def jobs(
    project: Annotated[str | None, typer.Option(help="Only of this project.")] = None,
    kind: KindOption = None,
    search: Annotated[str | None, typer.Option(help="Only what fits this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the account's jobs, running or ended, newest first. Costs no credits.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli import listings

        found = listings.jobs(project=project, kind=kind, search=search, limit=limit)
        if as_json:
            tell(listings.jobs_json(found))
            return
        if found:
            tell_table(listings.jobs_table(found))
        typer.echo(listings.how_many(len(found), limit, "job"), err=True)


def results(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for its pictures; else one of the job's name.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="The service's name for its kind; it is asked for if left out."),
    ] = None,
    timeout: WaitOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Wait for a job that was made before, and save its pictures. Costs no credits.

    Of a conversation of the playground, those of its newest step. Uses PIKTID_API_TOKEN and, if
    set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.results import fetch

        found = fetch(job, kind=kind, out=out, timeout=timeout, overwrite=overwrite)
        tell(found.as_json() if as_json else found.lines())
        raise typer.Exit(found.code)


def download(
    out: Annotated[Path, typer.Option(help="Folder for a folder of each job.")],
    job: JobsArgument = None,
    project: Annotated[str | None, typer.Option(help="All jobs of this project.")] = None,
    thumbnails: Annotated[bool, typer.Option("--thumbnails", help="And the thumbnails.")] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Save the pictures of jobs that have ended, without waiting for the others.

    What is there already is left as it is. Costs no credits. Uses PIKTID_API_TOKEN and, if set,
    PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.results import download as fetch

        found = fetch(
            job or (), project=project, out=out, thumbnails=thumbnails, overwrite=overwrite
        )
        tell(found.as_json() if as_json else found.lines())
        raise typer.Exit(found.code)


def zip_(
    job: Annotated[
        list[str], typer.Argument(metavar="JOB", help="Ids of jobs; `piktid jobs` lists them.")
    ],
    out: Annotated[Path, typer.Option(help="The ZIP file.")],
    timeout: WaitOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Wait for jobs, and save all their pictures as one ZIP file. Costs no credits.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.results import save_zip

        saved = save_zip(job, out=out, timeout=timeout, overwrite=overwrite)
        tell(saved if as_json else [saved["path"], *filter(None, [saved["error"]])])
        raise typer.Exit(saved["exit_code"])
