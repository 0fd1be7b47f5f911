"""Cases for the first local AWS of a process; each function runs in a separate process.

All tests share one local AWS, and a process can have only one at a time. The processes are forked, because
importing moto in each of them would take most of the time.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import importlib.metadata
import json
import os
import signal
import socket
import sys
import time

import pytest
from moto.secretsmanager.models import FakeSecret
from moto.secretsmanager.responses import SecretsManagerResponse

from rotators.local.aws import DEFAULT_FUNCTIONS, LocalAws
from rotators.local.errors import LocalStackError, ServerStartFailed
from tests.local import moto_names
from tests.local.handlers import uploaded

ECHO = {"echo": "tests.local.handlers.echo"}


def _echo(aws: LocalAws) -> dict[str, object]:
    answer = aws.client("lambda").invoke(FunctionName="rotators-echo", Payload=b"{}")
    echoed: dict[str, object] = json.loads(answer["Payload"].read())
    return echoed


def stop_frees_the_port_and_restores_moto() -> None:
    originals = SecretsManagerResponse.rotate_secret, FakeSecret.to_dict
    with LocalAws(functions=ECHO) as aws:
        port = int(aws.endpoint.rpartition(":")[2])
        assert SecretsManagerResponse.rotate_secret is not originals[0]
    assert originals == (SecretsManagerResponse.rotate_secret, FakeSecret.to_dict)
    assert not hasattr(SecretsManagerResponse, "validate_resource_policy")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def stop_ends_the_connections_of_clients() -> None:
    def ask() -> bytes:
        connection.request("GET", "/moto-api/data.json")
        return connection.getresponse().read()

    with LocalAws(functions={}) as aws:
        connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
        assert ask() == ask()
    with pytest.raises(ConnectionError):
        ask()
    connection.close()


def stop_ends_the_containers() -> None:
    with LocalAws(functions=ECHO) as aws:
        pid = _echo(aws)["pid"]
        assert isinstance(pid, int)
    # Its parent, this process, has waited for it, so no zombie process is left.
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def a_second_start_begins_with_nothing() -> None:
    aws = LocalAws(functions={})
    for _ in range(2):
        aws.start()
        assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
        aws.client("secretsmanager").create_secret(Name="only/once", SecretString="x")
        aws.stop()
    aws.stop()


def one_at_a_time() -> None:
    with LocalAws(functions={}), pytest.raises(LocalStackError, match="already running"):
        LocalAws(functions={}).start()
    with LocalAws(functions={}) as aws:
        assert aws.endpoint.startswith("http://127.0.0.1:")


def a_taken_port_is_an_error_and_leaves_nothing_running() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServerStartFailed, match="could not bind"):
            LocalAws(functions={}, port=taken.getsockname()[1]).start()
    with LocalAws(functions={}) as aws:
        assert aws.exports()["AWS_ENDPOINT_URL"] == aws.endpoint


def moto_has_every_name_that_is_relied_on() -> None:
    assert moto_names.missing_names() == []


def a_name_that_moto_lacks_is_found() -> None:
    module, version = "moto.events.models:EventsBackend", importlib.metadata.version("moto")
    moto_names.RELIED_ON.update({f"{module}.gone": "(self)", f"{module}.put_events": "(self, other)"})
    assert set(moto_names.missing_names()) == {
        f"moto {version}: {module}.gone is gone",
        f"moto {version}: {module}.put_events takes (self, events), not (self, other)",
    }


def the_projects_functions_are_there_by_default() -> None:
    with LocalAws(environment={"FROM_STACK": "yes"}) as aws:
        listed = aws.client("lambda").list_functions()["Functions"]
        assert {each["FunctionName"]: each["Handler"] for each in listed} == {
            f"rotators-{name}": handler for name, handler in DEFAULT_FUNCTIONS.items()
        }
        assert {each["Environment"]["Variables"]["FROM_STACK"] for each in listed} == {"yes"}


def what_is_not_there_is_named() -> None:
    with LocalAws(functions=ECHO) as aws:
        with pytest.raises(LocalStackError, match="no function is registered as 'rotate'"):
            aws.function_arn("rotate")
        with pytest.raises(LocalStackError, match="no secret nobody"):
            aws.wait_for_rotation("nobody", "token")
        aws.client("secretsmanager").create_secret(Name="quiet", SecretString="x")
        with pytest.raises(LocalStackError, match="did not end within"):
            aws.wait_for_rotation("quiet", "token", timeout=0.01)
    with pytest.raises(LocalStackError, match="not running"):
        _ = aws.endpoint


def a_reset_leaves_the_registered_functions() -> None:
    with LocalAws(functions=ECHO, environment={"OWN": "yes"}) as aws:
        secrets, functions = aws.client("secretsmanager"), aws.client("lambda")
        aws.register("well", "tests.local.handlers.rotate")
        _rotate(aws)
        functions.create_function(**uploaded("uploaded", "def handler(event, context): pass"))
        address = aws.endpoint.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(address)) as connection:
            connection.request("POST", "/moto-api/reset")
            assert json.load(connection.getresponse()) == {"status": "ok"}
        assert secrets.list_secrets()["SecretList"] == []
        assert aws.service_events() == []
        names = {each["EventName"] for each in aws.client("cloudtrail").lookup_events()["Events"]}
        assert names == {"ListSecrets"}
        listed = {each["FunctionName"]: each for each in functions.list_functions()["Functions"]}
        assert listed.keys() == {"rotators-echo", "rotators-well"}
        assert listed["rotators-well"]["Environment"]["Variables"] == {"OWN": "yes"}
        _rotate(aws)


def _rotate(aws: LocalAws) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="rotated", SecretString='{"password": "1"}')
    arn = aws.function_arn("well")
    token = secrets.rotate_secret(SecretId="rotated", RotationLambdaARN=arn)["VersionId"]
    assert aws.wait_for_rotation("rotated", token).ok


CASES = (
    a_reset_leaves_the_registered_functions,
    stop_frees_the_port_and_restores_moto,
    stop_ends_the_connections_of_clients,
    stop_ends_the_containers,
    a_second_start_begins_with_nothing,
    one_at_a_time,
    a_taken_port_is_an_error_and_leaves_nothing_running,
    moto_has_every_name_that_is_relied_on,
    a_name_that_moto_lacks_is_found,
    the_projects_functions_are_there_by_default,
    what_is_not_there_is_named,
)


def start_and_tell_the_container(then: str) -> None:
    """Print the id of a container's process; then wait, or exit without stopping anything."""
    # Shells start background processes with SIGINT ignored, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    aws = LocalAws(functions=ECHO)
    aws.start()
    sys.stdout.write(f"{_echo(aws)['pid']}\n")
    sys.stdout.flush()
    if then == "stay":
        time.sleep(600)


def run_each() -> None:
    """Run each case in a process, and print its name, its exit status and its stderr as a line of JSON."""
    import rotators.local.services  # noqa: F401, PLC0415 - moto, which a start would import in each process

    moto_names.missing_names()  # imports more of it
    gc.freeze()  # the end of each process would examine all objects
    for case in CASES:
        errors, write = os.pipe()
        if (pid := os.fork()) == 0:
            os.dup2(write, sys.stderr.fileno())
            case()
            return
        os.close(write)
        with os.fdopen(errors) as stream:
            said = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps([case.__name__, status, said]), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        start_and_tell_the_container(sys.argv[1])
    else:
        run_each()
