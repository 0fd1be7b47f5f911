"""Errors of the local AWS and of the local servers."""

from __future__ import annotations

from rotators.core.errors import RotatorsError


class LocalStackError(RotatorsError):
    """The local AWS or one of its servers could not do its part."""

    code = "local-stack"


class ServerNotFound(LocalStackError):
    """No binaries of the wanted server are on this machine."""

    code = "server-not-found"
    remedy = "Install the server, or point the named variable at its bin directory."


class ServerStartFailed(LocalStackError):
    """A local server was started and did not come up."""

    code = "server-start-failed"
    remedy = "Read the end of its log, given in the cause."
