"""Targets that may receive a stored password: every part of a target is compared, without a server."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.client._call import Destination
from rotators.client._drivers import driver_named
from rotators.core.errors import ConfigurationError, IdentityMismatch, SecretFormatError
from rotators.core.registry import load
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql import MySqlEngine
from rotators.engines.mysql.mariadb import MariaDbEngine
from rotators.engines.postgres import PostgresEngine
from rotators.logins.target import (
    TARGET_KEYS,
    TargetIdentity,
    addresses,
    differing_keys,
    direct,
    host_of,
    port_of,
    same_target,
)
from rotators.strategies.engine import Engine
from rotators.strategies.identity import check_target
from rotators.strategies.rotator import EngineRotator

ENGINES: list[Engine] = [PostgresEngine(), MySqlEngine(), MariaDbEngine()]

engines = st.sampled_from(ENGINES)
hosts = st.sampled_from(["db.internal", "replica.internal", "db.internal.evil.example", "10.0.0.7"])
ports = st.sampled_from([None, "", 5432, 3306, 6543, "5432", "3306"])
OPTIONS = {
    "ssl": st.sampled_from([None, True, False, "true", "false"]),
    "sslrootcert": st.sampled_from([None, "", "/opt/a.pem", "/opt/b.pem"]),
    "admin_host": st.sampled_from([None, "", "db.internal", "direct.internal"]),
    "admin_port": st.sampled_from([None, 5432, 6543]),
    "server_public_key": st.sampled_from([None, "key a", "key b"]),
    "dbname": st.sampled_from([None, "app"]),
}
values = st.builds(
    lambda host, port, options: {"host": host, "port": port, "username": "app", "password": "pw", **options},
    hosts,
    ports,
    st.fixed_dictionaries({}, optional=OPTIONS),
)


def place(value: dict[str, Any], engine: Engine) -> tuple[object, ...]:
    """The target of a value, computed independently of the product code."""
    host, port = value["host"], int(value.get("port") or engine.default_port)
    return host, port, value.get("admin_host") or host, int(value.get("admin_port") or port)


def is_encrypted(value: dict[str, Any]) -> bool:
    return str(value.get("ssl", True)).lower() != "false"


def may_follow(stored: dict[str, Any], current: dict[str, Any], engine: Engine, name: str) -> bool:
    settings = Settings.from_environment({"ALLOWED_TARGETS": name} if name else {})
    return same_target(Secret(stored), Secret(current), engine, settings)


@given(engines, values, values)
def test_a_password_goes_only_to_its_target(
    engine: Engine, stored: dict[str, Any], current: dict[str, Any]
) -> None:
    if not may_follow(stored, current, engine, ""):
        return
    assert place(stored, engine) == place(current, engine)
    if is_encrypted(stored):
        assert is_encrypted(current)
        assert (stored.get("sslrootcert") or None) == (current.get("sslrootcert") or None)
    elif not is_encrypted(current):
        assert stored.get("server_public_key") == current.get("server_public_key")


@given(engines, values)
def test_spelling_does_not_change_the_target(engine: Engine, value: dict[str, Any]) -> None:
    if value.get("ssl", True) is None:
        del value["ssl"]
    port = value.get("port") or engine.default_port
    other = {**value, "host": value["host"].upper(), "port": str(port), "dbname": "another"}
    assert may_follow(value, other, engine, "")
    assert may_follow(other, value, engine, "")


STORED = {"engine": "postgres", "host": "old.db.example", "port": 5432, "username": "app", "password": "pw"}


@pytest.mark.parametrize(
    ("changes", "allowed", "follows"),
    [
        ({}, "", True),
        ({"engine": "aurora-postgresql"}, "", True),
        ({"engine": "mysql"}, "", False),
        ({"host": "new.db.example"}, "", False),
        ({"port": 5433}, "", False),
        ({"admin_host": "evil.example"}, "", False),
        ({"ssl": False}, "", False),
        ({"sslrootcert": "/tmp/mine.pem"}, "", False),
        ({"port": "no number"}, "", False),
        ({"engine": ["postgres"]}, "", False),
        ({"host": "new.db.example"}, ".db.example", True),
        ({"host": "new.db.example"}, ".db.example:5432", True),
        ({"host": "new.db.example"}, "old.db.example,new.db.example", True),
        ({"host": "new.db.example"}, "new.db.example", False),
        ({"host": "new.db.example", "port": 5433}, ".db.example:5432", False),
        ({"host": "new.db.example.evil.example"}, ".db.example", False),
        ({"host": "evildb.example"}, "db.example,old.db.example", False),
        ({"host": "new.db.example", "ssl": False}, ".db.example", False),
        ({"host": "::1"}, "[::1]:5432,old.db.example", True),
        ({"host": "new.db.example", "admin_host": "evil.example"}, ".db.example", False),
    ],
)
def test_each_part_of_a_target(changes: dict[str, Any], allowed: str, *, follows: bool) -> None:
    assert may_follow(STORED, {**STORED, **changes}, PostgresEngine(), allowed) is follows


@pytest.mark.parametrize("host", ["db:5432x", "a b", "*.example", "https://db", "db:0", "db:65536", "."])
def test_an_allowed_target_must_be_a_host(host: str) -> None:
    with pytest.raises(ConfigurationError, match="ALLOWED_TARGETS"):
        Settings.from_environment({"ALLOWED_TARGETS": f"db.internal, {host}"})


@pytest.mark.parametrize("text", ["0", "1", "-1", "many", "1.5", "1000", "٣"])
def test_the_login_limit_must_be_a_number(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MAX_REJECTED_LOGINS"):
        Settings.from_environment({"MAX_REJECTED_LOGINS": text})


@pytest.mark.parametrize("key", ["host", "admin_host"])
@pytest.mark.parametrize("act", ["propose", "apply", "verify"])
def test_outside_of_allowed_targets_nothing_is_done(act: str, key: str) -> None:
    settings = Settings.from_environment({"ALLOWED_TARGETS": ".db.example"})
    value = Secret({**STORED, key: "db.example.evil.example"})
    with pytest.raises(IdentityMismatch, match="not in ALLOWED_TARGETS") as caught:
        getattr(EngineRotator(PostgresEngine()), act)(Rotation(value, settings, value))
    assert caught.value.full_code == "identity-mismatch/not-allowed"


BASE = {"host": "db.internal", "server_public_key": "key a"}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"host": "DB.Internal"}, True),
        ({"host": "replica.internal"}, False),
        ({"port": "5432"}, True),
        ({"port": 6543}, False),
        ({"admin_host": "DB.internal", "admin_port": 5432}, True),
        ({"admin_host": "direct.internal"}, False),
        ({"admin_port": 6543}, False),
        ({"port": 6543, "admin_port": 5432}, False),
        ({"ssl": True}, True),
        ({"ssl": False}, False),
        ({"sslrootcert": "/opt/default.pem"}, True),
        ({"sslrootcert": "/opt/other.pem"}, False),
        ({"server_public_key": "key\na"}, True),
        ({"server_public_key": "key b"}, False),
        ({"server_public_key": None}, False),
        ({"username": "other"}, True),
    ],
)
def test_equal_targets_have_equal_identities(changes: dict[str, Any], same: bool) -> None:
    identity, changed = (
        TargetIdentity.of(Secret(value), 5432, "/opt/default.pem") for value in (BASE, BASE | changes)
    )
    assert (identity == changed) is same


SPELT = {"engine": "postgres", "host": "db.internal", "username": "app", "password": "pw"}


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        ({"host": "DB.Internal"}, True),
        ({"host": "replica.internal"}, False),
        ({"port": 5432}, True),
        ({"port": "5432"}, True),
        ({"port": None}, True),
        ({"port": 5433}, False),
        ({"admin_host": "DB.INTERNAL"}, True),
        ({"admin_host": "direct.internal"}, False),
        ({"admin_port": "5432"}, True),
        ({"admin_port": 6543}, False),
        ({"ssl": True}, True),
        ({"ssl": "TRUE"}, True),
        ({"ssl": False}, False),
        ({"start_tls": False}, True),
        ({"sslrootcert": "/opt/other.pem"}, False),
    ],
)
def test_every_caller_compares_targets_alike(spelling: dict[str, Any], same: bool) -> None:
    engine, one, other = PostgresEngine(), Secret(SPELT), Secret({**SPELT, **spelling})
    assert leads_alike(one, other, engine) is same
    assert leads_alike(other, one, engine) is same
    assert same_target(one, other, engine, Settings.from_environment({})) is (
        same or spelling == {"ssl": True}
    )
    assert Destination().same(one, other) is same
    assert (differing_keys(one, other, TARGET_KEYS, engine) == []) is same


CLEAR = {**SPELT, "ssl": False}


@pytest.mark.parametrize(
    ("stored", "current", "rotator", "client"),
    [
        ({**SPELT, "server_public_key": "key a"}, {**SPELT, "server_public_key": "key b"}, True, True),
        ({**CLEAR, "server_public_key": "key a"}, {**CLEAR, "server_public_key": "key b"}, False, False),
        ({**SPELT, "start_tls": True}, SPELT, True, True),
        (SPELT, {**SPELT, "start_tls": True}, True, True),
        # The client would log in with the stored version's own keys, and so without TLS.
        (CLEAR, SPELT, True, False),
        (SPELT, CLEAR, False, False),
    ],
)
def test_protection_is_compared_for_the_login_it_has(
    stored: dict[str, Any], current: dict[str, Any], rotator: bool, client: bool
) -> None:
    assert may_follow(stored, current, PostgresEngine(), "") is rotator
    assert Destination().same(Secret(stored), Secret(current)) is client


def leads_alike(pending: Secret, current: Secret, engine: Engine) -> bool:
    try:
        check_target(pending, current, engine)
    except IdentityMismatch:
        return False
    return True


def test_differences_are_reported_by_their_keys() -> None:
    one, engine = Secret(SPELT), PostgresEngine()
    for changes, keys in (
        ({"host": "other.internal"}, ["host"]),
        ({"host": "other.internal", "admin_host": "db.internal"}, ["host"]),
        ({"ssl": False, "port": 1}, ["port", "ssl"]),
        ({"port": "many"}, ["port"]),
        ({"dbname": "postgres"}, []),
        ({"dbname": "shop"}, ["dbname"]),
    ):
        other = Secret({**SPELT, **changes})
        assert differing_keys(one, other, TARGET_KEYS | {"dbname"}, engine) == keys


@pytest.mark.parametrize("name", sorted(entry_points(group="rotators").names))
@pytest.mark.parametrize("driver", sorted(entry_points(group="rotators.drivers").names))
def test_the_default_port_is_the_engine_s(name: str, driver: str) -> None:
    rotator = load(name)
    assert isinstance(rotator, EngineRotator)
    unported = Secret({"engine": name, "host": "db.internal"})
    ported = unported.replace(port=rotator.engine.default_port)
    assert Destination(driver=driver_named(driver)).same(unported, ported)


def test_roots_mean_nothing_without_tls() -> None:
    values = ({**BASE, "ssl": False, "sslrootcert": path} for path in ("/opt/a.pem", "/opt/b.pem"))
    one, other = (TargetIdentity.of(Secret(value), 5432) for value in values)
    assert one == other


@pytest.mark.parametrize(
    ("port", "accepted"), [(1, True), (65535, True), ("65535", True), (0, False), (65536, False)]
)
def test_ports_have_the_range_of_tcp(port: object, accepted: bool) -> None:
    if accepted:
        assert TargetIdentity.of(Secret({**BASE, "port": port}), 5432).port == int(str(port))
    else:
        with pytest.raises(SecretFormatError, match="from 1 to 65535"):
            TargetIdentity.of(Secret({**BASE, "port": port}), 5432)


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("db internal", "contains blanks"),
        ("db\t", "contains blanks"),
        ("https://db", "is a URL or a path"),
        ("db/app", "is a URL or a path"),
        ("db:5432", "also contains a port"),
        ("[::1]:5432", "also contains a port"),
    ],
)
@pytest.mark.parametrize(("key", "port"), [("host", "port"), ("admin_host", "admin_port")])
def test_a_host_is_a_name_alone(host: str, fault: str, key: str, port: str) -> None:
    with pytest.raises(SecretFormatError) as caught:
        host_of(Secret({key: host}), key)
    assert caught.value.cause == f"key {key!r} of the secret {fault}"
    assert caught.value.remedy.startswith(f"Write the host name alone into {key!r} (a port into {port!r})")


@pytest.mark.parametrize("host", ["DB.Internal", "::1", "[::1]", "10.0.0.7"])
def test_a_host_is_in_lower_case(host: str) -> None:
    assert host_of(Secret({"host": host})) == host.lower()


@pytest.mark.parametrize("port", [True, 1.0, [1], "+1", "1 ", "000001", "\u0661", -1])
@pytest.mark.parametrize("key", ["port", "admin_port"])
def test_other_ports_are_refused(port: object, key: str) -> None:
    with pytest.raises(SecretFormatError, match=f"key '{key}' of the secret must be a number"):
        port_of(Secret({key: port}), 7, key)


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"admin_host": "Direct"}, ("direct", 6543)),
        ({"admin_port": "7654"}, ("db", 7654)),
        ({"admin_host": "direct", "admin_port": 7654}, ("direct", 7654)),
        ({"port": None, "admin_host": "direct"}, ("direct", 5432)),
    ],
)
def test_changes_are_made_at_the_admin_address(changes: dict[str, Any], address: tuple[str, int]) -> None:
    value = Secret({"host": "db", "port": "6543", "username": "app", **changes})
    found = direct(value, PostgresEngine())
    assert (found["host"], found["port"]) == address
    assert found["username"] == "app"
    assert addresses(value, PostgresEngine()) == (("db", 5432 if "port" in changes else 6543), address)


def test_without_admin_address_the_value_stays() -> None:
    value = Secret({"host": "DB", "username": "app"})
    assert direct(value, PostgresEngine()) is value
    assert addresses(value, PostgresEngine()) == (("db", 5432), ("db", 5432))


def test_a_value_may_go_to_a_safer_connection() -> None:
    engine, settings = PostgresEngine(), Settings(ssl_root_cert="/opt/a.pem")
    clear, safe = (Secret({**STORED, "ssl": tls}) for tls in (False, True))
    assert same_target(clear, safe, engine, settings)
    assert not same_target(safe, clear, engine, settings)
    assert same_target(safe.replace(sslrootcert="/opt/a.pem"), safe, engine, settings)
    assert not same_target(safe.replace(sslrootcert="/opt/b.pem"), safe, engine, settings)
    key, other = (clear.replace(server_public_key=name) for name in ("key a", "key b"))
    assert same_target(key, key, engine, settings)
    assert not same_target(key, other, engine, settings)
    assert same_target(key, safe, engine, settings)


def test_a_value_without_engine_is_of_the_rotators() -> None:
    without = Secret(STORED).replace(engine=None)
    for one, other in ((without, Secret(STORED)), (Secret(STORED), without)):
        assert same_target(one, other, PostgresEngine(), Settings())


def test_values_of_an_unknown_server_are_compared() -> None:
    one = Secret({"host": "DB", "port": "1", "note": "a"})
    assert differing_keys(one, Secret({"host": "db", "port": 1}), ["host", "port"], None) == []
    assert differing_keys(one, Secret({"host": "x"}), ["note", "port", "host"], None) == [
        "host",
        "note",
        "port",
    ]
    broken = Secret({"host": "db", "port": "many"})
    assert differing_keys(one, broken, ["host"], None) == ["host"]
    assert differing_keys(broken, one, ["host"], None) == ["host"]
