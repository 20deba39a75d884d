"""``parcelwire detect``."""

from typing import Annotated

import typer


def detect(
    numbers: Annotated[
        list[str] | None, typer.Argument(help="Tracking numbers; none: one a line from standard input.")
    ] = None,
    country: Annotated[
        list[str] | None, typer.Option("--country", help="ISO code of origin or destination; repeatable.")
    ] = None,
    code_book: Annotated[
        str, typer.Option("--code-book", envvar="PARCELWIRE_CODE_BOOK", help="reference or official.")
    ] = "reference",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say which carriers a number could belong to.

    And how likely each of them is, and why.
    """
    from parcelwire.cli.candidates import show_candidates

    show_candidates(numbers or (), country or (), code_book, as_json=as_json)
