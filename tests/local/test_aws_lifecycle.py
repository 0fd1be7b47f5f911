"""Start, stop, and what is left behind: nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from moto.secretsmanager.models import FakeSecret
from moto.secretsmanager.responses import SecretsManagerResponse

from rotators.core.errors import LocalStackError, ServerStartFailed
from rotators.local import faithful
from rotators.local.aws import LocalAws

ECHO = {"echo": "tests.local.handlers.echo"}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie answers too; what init has not yet collected is gone all the same.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def container(aws: LocalAws) -> int:
    answer = aws.client("lambda").invoke(FunctionName="rotators-echo", Payload=b"{}")
    return int(json.loads(answer["Payload"].read())["pid"])


def test_stop_ends_the_containers_frees_the_port_and_restores_moto() -> None:
    originals = SecretsManagerResponse.rotate_secret, FakeSecret.to_dict
    with LocalAws(functions=ECHO) as aws:
        pid, port = container(aws), int(aws.endpoint.rpartition(":")[2])
        assert SecretsManagerResponse.rotate_secret is not originals[0]
    assert wait_until_gone(pid)
    assert originals == (SecretsManagerResponse.rotate_secret, FakeSecret.to_dict)
    assert not hasattr(SecretsManagerResponse, "validate_resource_policy")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_a_second_start_begins_with_nothing() -> None:
    aws = LocalAws(functions={})
    for _ in range(2):
        aws.start()
        assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
        aws.client("secretsmanager").create_secret(Name="only/once", SecretString="x")
        aws.stop()
    aws.stop()


def test_one_local_aws_at_a_time_in_a_process() -> None:
    with LocalAws(functions={}), pytest.raises(LocalStackError, match="already running"):
        LocalAws(functions={}).start()
    with LocalAws(functions={}) as aws:
        assert aws.endpoint.startswith("http://127.0.0.1:")


def test_a_taken_port_is_an_error_and_leaves_nothing_running(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServerStartFailed, match="could not bind"):
            LocalAws(functions={}, port=taken.getsockname()[1]).start()
    with LocalAws(functions={}) as aws:
        assert aws.exports()["AWS_ENDPOINT_URL"] == aws.endpoint


def test_what_is_not_there_is_named() -> None:
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


_PARENT = """
import json, sys, time
from rotators.local.aws import LocalAws
aws = LocalAws(functions={"echo": "tests.local.handlers.echo"})
aws.start()
answer = aws.client("lambda").invoke(FunctionName="rotators-echo", Payload=b"{}")
print(json.loads(answer["Payload"].read())["pid"], flush=True)
if sys.argv[1] == "stay":
    time.sleep(600)
"""


@pytest.mark.parametrize("end", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_container_outlives_its_parent(end: Any) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, "stay" if end else "leave"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end:
            parent.send_signal(end)
        parent.wait(30)
    assert wait_until_gone(pid)


def test_moto_has_every_name_that_is_relied_on() -> None:
    assert faithful.missing_names() == []


def test_a_name_that_moto_lost_or_changed_is_told_with_motos_version(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version("moto")
    monkeypatch.setitem(faithful.RELIED_ON, "moto.events.models:EventsBackend.gone", "(self)")
    monkeypatch.setitem(faithful.RELIED_ON, "moto.events.models:EventsBackend.put_events", "(self, other)")
    gone, changed = sorted(faithful.missing_names())[::-1]
    backend = f"moto {version}: moto.events.models:EventsBackend"
    assert {gone, changed} == {
        f"{backend}.gone is gone",
        f"{backend}.put_events takes (self, events), not (self, other)",
    }
    with pytest.raises(LocalStackError, match=r"EventsBackend\.gone is gone"):
        LocalAws(functions={}).start()
