"""`piktid swap`: the same pictures with another person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from piktid_async import ModelSwap
from piktid_async.cli import options as shared
from piktid_async.cli.framing import in_one_sentence

if TYPE_CHECKING:
    from piktid_async.cli.order import Inputs, Order


def swap(
    paths: shared.PathsArgument,
    out: shared.OutOption,
    identity: shared.IdentityOption = None,
    identity_image: shared.IdentityImageOption = None,
    even_skin: Annotated[
        bool, typer.Option("--even-skin", help="Even out the skin over the whole set.")
    ] = False,
    project: shared.ProjectOption = shared.PROJECT,
    report: shared.ReportOption = None,
    sandbox: shared.SandboxOption = False,
    timeout: shared.TimeoutOption = None,
    overwrite: shared.OverwriteOption = False,
    as_json: shared.JobJsonOption = False,
) -> None:
    """Put one identity into each of PATHS; more than 10 pictures become several jobs.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox; the
    price is not documented.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.order import Order, checked, checked_identity, sets_of_each
        from piktid_async.cli.work import do

        def build(inputs: Inputs) -> ModelSwap:
            return ModelSwap(
                identity=str(inputs.more.get("identity", identity)),
                project=inputs.project,
                images=inputs.images,
                post_process=even_skin,
            )

        def place() -> Order:
            code = checked_identity(identity, identity_image)
            return checked(
                Order(
                    sets=sets_of_each(paths),
                    out=out,
                    build=build,
                    target=f"to {code or identity_image}",
                    words=("swapping the model", "swapped"),
                    identity_image=identity_image,
                    project=project,
                    timeout=timeout,
                    overwrite=overwrite,
                )
            )

        do(place, sandbox=sandbox, page=report, as_json=as_json)
