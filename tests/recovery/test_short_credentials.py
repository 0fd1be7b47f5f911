"""A short credential under a key of the rotator's own appears in no error, log or document."""

from __future__ import annotations

import json
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest

from functions.rotate import handler as rotate
from functions.store import handler as store
from rotators.core import registry
from rotators.core.errors import CredentialsRejected, RotatorsError, SecretDeleted, TargetRefused
from rotators.engines import Dual, EngineRotator, Password, PasswordRules
from rotators.local.aws import LocalAws
from rotators.testing._case import step_event
from tests.cli.command import command
from tests.world import new_password

KEYS = ("~7z", "^4k", "~2v")
"""Credentials of three versions: too short to be masked under an undeclared key, and in no id by chance."""


def refused(value: Any) -> TargetRefused:
    return TargetRefused(f"the service refused {value['api_key']} as a key")


class LeakyRotator:
    """A rotator without an engine that shows its credential in all errors."""

    credential_members: Any = ("api_key",)

    def propose(self, rotation: Any) -> Any:
        return rotation.current.replace(api_key=KEYS[1])

    def apply(self, rotation: Any) -> None:
        raise refused(rotation.pending)

    def verify(self, rotation: Any) -> None:
        raise refused(rotation.pending)

    def check_value(self, value: Any, settings: Any) -> None:
        del settings
        if "broken" in value:
            raise ValueError(f"bad key {value['api_key']}")


class LeakyEngine:
    """An engine that shows its credential when it logs in."""

    names = frozenset({"acme-keys"})
    default_port = 443
    target_defaults: ClassVar[dict[str, str]] = {}
    longest_username = 64
    credential = Password(PasswordRules(shortest=32, longest=128), key="api_key")
    strategies = (Dual(),)

    def login(self, secret: Any, settings: Any) -> Any:
        del settings
        raise refused(secret)


class LeakyReset(LeakyRotator):
    """Rejects all values except the admin's, and shows its credential when it sets one."""

    def verify(self, rotation: Any) -> None:
        if rotation.pending["username"] != "admin":
            raise CredentialsRejected("not this one")


class LeakySession:
    """A login of AWSCURRENT that shows the credential which it should set."""

    account = "app"

    def check(self, other: str = "") -> None: ...

    def set_pair(self, user: str, old: str, new: str) -> None:
        raise refused({"api_key": new})


class LeakySetting(LeakyEngine):
    """An engine that accepts AWSCURRENT only."""

    @contextmanager
    def login(self, secret: Any, settings: Any) -> Iterator[Any]:
        del settings
        if secret["api_key"] != KEYS[0]:
            raise CredentialsRejected("not this one")
        yield LeakySession()


class LeakyEngineRotator(EngineRotator):
    """The rotator of that engine."""

    def __init__(self) -> None:
        super().__init__(LeakyEngine())

    def check_value(self, value: Any, settings: Any) -> None:
        super().check_value(value, settings)
        LeakyRotator().check_value(value, settings)


Install = Callable[[Callable[[], object]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Returns a function that installs a rotator in place of all others."""

    def chosen(made: Callable[[], object]) -> None:
        monkeypatch.setattr(EntryPoint, "load", lambda _: made)
        registry.load.cache_clear()

    entry = EntryPoint("acme-keys", "nowhere:rotator", "rotators")
    monkeypatch.setattr(registry, "registered", lambda: [entry])
    yield chosen
    registry.load.cache_clear()


@pytest.fixture(params=[LeakyRotator, LeakyEngineRotator])
def installed(request: pytest.FixtureRequest, install: Install) -> None:
    install(request.param)


def value(key: str, **more: object) -> dict[str, Any]:
    address = {"engine": "acme-keys", "host": "keys.example", "username": "app", "ssl": False}
    return {**address, "api_key": key, **more}


@pytest.fixture
def arn(aws: LocalAws) -> Iterator[str]:
    """A secret with a current and a previous version."""
    client = aws.client("secretsmanager")
    name = f"short/{uuid.uuid4().hex}"
    arn = client.create_secret(Name=name, SecretString=json.dumps(value(KEYS[2])))["ARN"]
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(value(KEYS[0])))
    aws.enable_rotation(arn)
    yield arn
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def pending(aws: LocalAws, arn: str) -> str:
    """Begin a rotation whose value is stored; return its token."""
    token = str(uuid.uuid4())
    aws.stage(arn, token)
    aws.client("secretsmanager").put_secret_value(
        SecretId=arn,
        ClientRequestToken=token,
        SecretString=json.dumps(value(KEYS[1])),
        VersionStages=["AWSPENDING"],
    )
    return token


def failure(call: Callable[[], object]) -> str:
    """Everything that a log can show of a call's error."""
    with pytest.raises(RotatorsError) as caught:
        call()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def shown(text: str) -> list[str]:
    return [key for key in KEYS if key in text]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("step", ["setSecret", "testSecret", "finishSecret"])
def test_a_failed_step_shows_no_short_credential(
    aws: LocalAws, arn: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = pending(aws, arn)
    text = failure(lambda: rotate(step_event(arn, step, token))) + "".join(capsys.readouterr())
    assert "target-refused" in text
    assert not shown(text)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor", "--idle"),
        ("doctor", "--idle", "--json"),
        ("repair", "--idle"),
        ("repair", "--idle", "--json"),
        ("check",),
        ("check", "--json"),
        ("rollback", "--yes"),
        ("rollback", "--yes", "--json"),
    ],
    ids=" ".join,
)
def test_no_command_shows_a_short_credential(arn: str, arguments: tuple[str, ...]) -> None:
    done = command(arguments[0], arn, *arguments[1:])
    assert done.status == 1, done.text
    assert "refused" in done.text or "withheld" in done.text
    assert not shown(done.text)


def test_a_failed_repair_shows_no_short_credential(aws: LocalAws, arn: str, install: Install) -> None:
    install(LeakyReset)
    client = aws.client("secretsmanager")
    admin = client.create_secret(
        Name=f"short/{uuid.uuid4().hex}", SecretString=json.dumps(value(KEYS[2], username="admin"))
    )["ARN"]
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(value(KEYS[0], masterarn=admin)))
    done = command("repair", arn, "--idle")
    client.delete_secret(SecretId=admin, ForceDeleteWithoutRecovery=True)
    assert "target-refused" in done.text
    assert not shown(done.text)


def test_a_failed_rollback_shows_no_short_credential(arn: str, install: Install) -> None:
    install(lambda: EngineRotator(LeakySetting()))
    done = command("rollback", arn, "--yes")
    assert "target-refused" in done.text
    assert not shown(done.text)


@pytest.mark.usefixtures("installed", "aws")
def test_a_failed_store_shows_no_short_credential(capsys: pytest.CaptureFixture[str]) -> None:
    text = failure(lambda: store({"Name": "short/stored", "Value": value(KEYS[0], broken=True)}))
    text += "".join(capsys.readouterr())
    assert "ValueError" in text
    assert not shown(text)


class Defective(LeakyRotator):
    """A rotator whose declaration fails."""

    @property
    def credential_members(self) -> Any:
        raise RuntimeError("no members")


@pytest.mark.usefixtures("aws")
def test_a_defective_declaration_leaves_no_value_unmasked(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(Defective)
    key = new_password()
    text = failure(lambda: store({"Name": "short/defective", "Value": value(key, broken=True)}))
    text += "".join(capsys.readouterr())
    assert "ValueError" in text
    assert key not in text


@pytest.mark.usefixtures("installed")
def test_an_unchecked_short_credential_is_masked_too(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the secret; its name contains the credential."""
    monkeypatch.setenv("VALIDATE_SECRETS", "false")
    name = f"short/{uuid.uuid4().hex}/@+="
    client = aws.client("secretsmanager")
    client.create_secret(Name=name, SecretString="{}")
    client.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    with pytest.raises(SecretDeleted) as caught:
        store({"Name": name, "Value": value("@+=")})
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert "@+=" not in str(caught.value)
