"""`rotators dashboard`: the report as a page on this machine."""

from __future__ import annotations

import datetime as dt
import time
from functools import partial

import click

from rotators.cli.errors import PortUnusable
from rotators.cli.output import console
from rotators.cli.selecting import selector_options
from rotators.cli.signals import endings
from rotators.manage.page import current_page
from rotators.manage.selector import Selector
from rotators.manage.serving import HOST, Dashboard

_LOOK_SECONDS = 0.1


@click.command()
@selector_options
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1 (0: any free port)."
)
def dashboard(selector: Selector, port: int) -> None:
    """Show the page of `rotators report` in a browser, until Ctrl-C. It is read-only, and contains no value.

    All users of this machine can open it; other machines cannot. Reload the page to list the secrets again.
    """
    selector.check(dt.datetime.now(dt.UTC))  # before a browser asks
    try:
        server = Dashboard(partial(current_page, selector), port)
    except OSError as error:
        raise PortUnusable(f"port {port} of {HOST} cannot be used: {error.strerror}") from None
    out = console()
    with server, endings() as ended:
        out.print(f"The page is at {server.address}")
        out.next("open it in a browser; Ctrl-C ends it.")
        while not ended:
            time.sleep(_LOOK_SECONDS)
