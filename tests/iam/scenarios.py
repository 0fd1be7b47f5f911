"""Deployed stacks, and all uses of them; every resulting call is recorded."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.aws import clients
from rotators.cli import cli
from rotators.iam.calls import ApiCall
from rotators.local.cloudformation.sam import translated
from rotators.local.iam.authorizer import INTERFACE_ACTIONS, RecordedCall
from rotators.testing._targets.elasticache import ElastiCacheTarget
from rotators.testing._targets.memorydb import MemoryDbTarget
from tests.activedirectory.directories import create_directory, directory_user
from tests.elasticache.caches import TokenTarget
from tests.world import World, new_password, small_server, started, unique

ROOT = Path(__file__).resolve().parent.parent.parent
REGION, ACCOUNT = "us-east-1", "123456789012"
WAIT = 300.0
FUNCTIONS = ("rotate", "store", "retrieve", "operate", "notify", "receipt", "widget")
"""The functions of the template; `receipt` needs a parameter."""
OPERATOR = "operator"
PEOPLE = {
    OPERATOR: ("OperatorPolicy",),
    "viewer": ("ViewerPolicy",),
    "manager": ("ViewerPolicy", "ManagerPolicy"),
    "values": ("ViewerPolicy", "ValuesPolicy"),
    "diff": ("ValuesPolicy",),
    "access": ("ViewerPolicy", "AccessPolicy"),
    "exclusive": ("ViewerPolicy", "AccessPolicy", "GuardPolicy"),
    "rename": ("ViewerPolicy", "ManagerPolicy", "ValuesPolicy", "GuardPolicy"),
}
"""The managed policies of the people who run the command."""
CALLER = "caller"
Statement = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """A command that one of the people ran, with the calls that it made."""

    who: str
    command: str
    calls: list[ApiCall]


@dataclass
class Stack:
    """One deployed stack.

    Attributes:
        world: environment of the stack.
        name: name of the stack; the prefix of its secrets is ``NAME/``.
        policies: statements by ``rotate``, ``store``, ``retrieve``, ``notify``, the names of ``PEOPLE``,
            and ``caller`` if the stack has rules for callers.
        key: ARN of the secrets' key, or None.
        admin: ARN of the admin's secret.
        signing: ARN of the key that signs receipts, or None.
        seen: every call, after ``exercise``.
        requests: calls through the function's URL, which is not served locally.
        attempts: calls that must be denied although a statement allows them.
        single: statements of each managed policy for people, by its name.
        ran: commands that people ran.
        sealing: ARNs of the sealing keys.
    """

    world: World
    name: str
    policies: dict[str, list[Statement]]
    key: str | None
    admin: str
    signing: str | None = None
    seen: list[RecordedCall] = field(default_factory=list)
    requests: list[ApiCall] = field(default_factory=list)
    attempts: list[ApiCall] = field(default_factory=list)
    single: dict[str, list[Statement]] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    sealing: list[str] = field(default_factory=list)

    @property
    def rotate_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}-rotate"

    def watched(self) -> dict[str, list[Statement]]:
        """The policies by caller, in the form that the local AWS enforces."""
        return {f"{self.name}-{who}": statements for who, statements in self.policies.items()}

    def who(self, principal: str) -> str:
        """Return ``rotate`` for ``NAME-rotate``."""
        return principal.removeprefix(f"{self.name}-")

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        answer = self.world.aws.client("lambda").invoke(
            FunctionName=f"{self.name}-{function}", Payload=json.dumps(event)
        )
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def store(self, name: str, value: dict[str, Any], **more: Any) -> str:
        return str(self.invoke("store", {"Name": f"{self.name}/{name}", "Value": value, **more})["ARN"])

    def rotated(self, arn: str) -> Any:
        """Rotate as a developer without restrictions; return the outcome."""
        token = str(uuid.uuid4())
        self.world.secrets.rotate_secret(
            SecretId=arn, RotationLambdaARN=self.rotate_arn, ClientRequestToken=token
        )
        return self.world.aws.wait_for_rotation(arn, token, WAIT)


_READER = [{"Key": "rotators-reader", "Value": "app"}]


def deploy(world: World, name: str, **parameters: str) -> Stack:
    """Deploy the template; its functions run from this checkout, so that they start quickly."""
    aws = world.aws
    value = world.admin()
    admin = world.secrets.create_secret(
        Name=unique(f"{name}-admin"),
        SecretString=json.dumps(value),
        Tags=[{"Key": "rotators-admin", "Value": "yes"}],
    )["ARN"]
    given = {
        "SecretNamePrefixes": f"{name}/",
        **{key: text.replace("ADMIN", admin) for key, text in parameters.items()},
    }
    formation = aws.client("cloudformation")
    formation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(translated(ROOT / "template.yaml", REGION, _code(world))),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": text} for key, text in given.items()],
    )
    ids = _ids(world, name)
    for function in _functions(ids):
        aws.client("lambda").update_function_code(FunctionName=f"{name}-{function}", ZipFile=_archive())
    found = formation.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", [])
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found}
    if key := outputs.get("KeyArn"):
        world.secrets.update_secret(SecretId=admin, KmsKeyId=key)
    names = {each for held in PEOPLE.values() for each in held}
    single = {each: _managed(world.aws.client("iam"), ids[each]) for each in names}
    policies, key, signing = _policies(world, ids), outputs.get("KeyArn"), outputs.get("ReceiptsKeyArn")
    return Stack(world, name, policies, key, admin, signing, single=single)


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The code runs from its source folder.")
    return buffer.getvalue()


def _code(world: World) -> str:
    storage = world.aws.client("s3")
    storage.create_bucket(Bucket="iam")
    storage.put_object(Bucket="iam", Key="code", Body=_archive())
    return "s3://iam/code"


def _ids(world: World, stack: str) -> dict[str, str]:
    found = world.aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {each.get("LogicalResourceId", ""): each.get("PhysicalResourceId", "") for each in found}


def _functions(ids: dict[str, str]) -> list[str]:
    """The functions of a stack, from its resources."""
    return [name for name in FUNCTIONS if f"{name.title()}Role" in ids]


def _policies(world: World, ids: dict[str, str]) -> dict[str, list[Statement]]:
    iam = world.aws.client("iam")
    documents = {
        name: iam.get_role_policy(RoleName=ids[f"{name.title()}Role"], PolicyName=name)["PolicyDocument"]
        for name in _functions(ids)
    }
    found_statements = {name: list(document["Statement"]) for name, document in documents.items()}
    for name in _functions(ids):
        attached = iam.list_attached_role_policies(RoleName=ids[f"{name.title()}Role"])["AttachedPolicies"]
        for policy in attached:
            found_statements[name] += _managed(iam, policy["PolicyArn"])
    for who, policies in PEOPLE.items():
        found_statements[who] = [each for name in policies for each in _managed(iam, ids[name])]
    if "CallerPolicy" in ids:
        found_statements[CALLER] = _managed(iam, ids["CallerPolicy"])
    return found_statements


def _managed(iam: Any, arn: str) -> list[Statement]:
    """The statements of a managed policy."""
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    return list(version["Document"]["Statement"])


def exercise(stack: Stack) -> None:
    """Make all calls of the functions and the command, with policies enforced."""
    world = stack.world
    world.aws.watch(stack.watched())
    try:
        single = _store(stack)
        assert stack.rotated(single).ok
        _lose_and_find(stack, single)
        pair = stack.store("pair", {**world.user(), "masterarn": stack.admin}, Rotation=_rotation(stack))
        _wait_for_trial(stack, pair)
        assert stack.rotated(pair).ok
        _write_receipts(stack)
        _look_for_databases(stack)
        _retrieve(stack, single, pair)
        _operate(stack, single, pair)
        _manage(stack, single)
        _see_access(stack, single)
        _rename(stack)
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)


def exercise_shortly(stack: Stack) -> None:
    """Make the calls that depend on parameters: a rotation with an admin, some reads, calls of Lambda."""
    world = stack.world
    world.aws.watch(stack.watched())
    try:
        value = {**world.user(), "masterarn": stack.admin}
        arn = stack.store("pair", value, Tags=_READER, Rotation=_rotation(stack))
        _wait_for_trial(stack, arn)
        assert stack.rotated(arn).ok
        stack.store("plain", {"a": "b"}, Tags=_READER)
        _retrieve(stack, arn)
        with acting(stack, OPERATOR):
            _command(["doctor", arn, "--remote", "--stack", stack.name], None, 0)
        if "ReadAdmins" in {each["Sid"] for each in stack.policies["rotate"]}:
            _look_for_databases(stack)
        if "KeepCodeFromInterfaces" in {each["Sid"] for each in stack.policies["rotate"]}:
            for caller in (f"{stack.name}-rotate", f"{stack.name}-operate"):
                arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{caller}"
                context = {"lambda:SourceFunctionArn": arn}
                stack.attempts += [ApiCall(caller, f"ec2:{name}", "*", context) for name in INTERFACE_ACTIONS]
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)


def redeployed(world: World, name: str) -> Stack:
    """A stack that was deleted and deployed again; its secrets still use the first stack's key."""
    first = deploy(world, name)
    plain = first.store("plain", {"a": "b"})
    secret = first.store("single", world.user(), Rotation=_rotation(first))
    _wait_for_trial(first, secret)
    world.aws.client("cloudformation").delete_stack(StackName=name)
    stack = deploy(world, name)
    assert stack.key != first.key
    world.aws.watch(stack.watched())
    try:
        assert stack.rotated(secret).ok
        stack.store("plain", {"a": "c"})
        _retrieve(stack, secret)
        assert stack.invoke("retrieve", {"SecretId": plain})["Value"] == {"a": "c"}
        with acting(stack, OPERATOR):
            _command(["doctor", secret], None, 0)
            _command(["check", secret, "--remote", "--stack", name], None, 0)
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)
    return stack


def with_caches(world: World, name: str) -> Stack:
    """A stack for users of ElastiCache and MemoryDB and an AUTH token, with real servers behind them."""
    with ExitStack() as servers:
        cache, database = (
            servers.enter_context(started(small_server(engine))) for engine in ("elasticache", "memorydb")
        )
        kinds = (ElastiCacheTarget(cache), TokenTarget(cache), MemoryDbTarget(database))
        for target in kinds:
            target.use(world.aws)
        user, token, other = values = [target.create_named("app") for target in kinds]
        stack = deploy(
            world,
            name,
            ElastiCacheUserArns=user["user_arn"],
            ReplicationGroupArns=token["replication_group_arn"],
            MemoryDbUserArns=other["user_arn"],
            CacheHosts=user["host"],
        )
        world.aws.watch(stack.watched())
        try:
            for number, value in enumerate(values):
                arn = stack.store(f"cache-{number}", value, Rotation=_rotation(stack))
                _wait_for_trial(stack, arn)
                assert stack.rotated(arn).ok
                with acting(stack, OPERATOR):
                    _command(["doctor", arn, "--remote", "--stack", name], None, 0)
            stack.seen = world.aws.seen()
        finally:
            world.aws.watch(None)
    return stack


def with_redshift(world: World, name: str) -> Stack:
    """A stack for Redshift. There is no server behind the addresses, so rotations fail after the look-up."""
    stack = deploy(world, name, AdminSecretArns="ADMIN", FindRedshift="true")
    secrets = world.secrets
    bare = {"username": "admin", "password": new_password()}
    secrets.put_secret_value(SecretId=stack.admin, SecretString=json.dumps(bare))
    owner = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:namespace/none"
    secrets.tag_resource(
        SecretId=stack.admin, Tags=[{"Key": "aws:redshift-serverless:namespaceArn", "Value": owner}]
    )
    value: dict[str, Any] = {"engine": "redshift", "username": "app", "password": new_password()}
    world.aws.watch(stack.watched())
    try:
        targets_of_users: tuple[dict[str, Any], ...] = (
            {"clusterIdentifier": "nobody"},
            {"workgroupName": "nobody"},
            {"host": "localhost", "port": 1, "masterarn": stack.admin},
        )
        for number, more in enumerate(targets_of_users):
            arn = stack.store(f"redshift-{number}", {**value, **more})
            assert not stack.rotated(arn).ok
            with acting(stack, OPERATOR):
                _command(["doctor", arn], None, 1)
                _command(["doctor", arn, "--remote", "--stack", name], None, 1)
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)
    return stack


def with_callers(world: World, name: str) -> Stack:
    """A stack whose retrieve function answers two roles. Its URL is not served locally."""
    rules = [f"arn:aws:iam::{ACCOUNT}:role/{rule}" for rule in (f"app={name}/", "shop=tag:team=shop")]
    stack = deploy(world, name, RetrieveCallers=",".join(rules))
    world.secrets.create_secret(
        Name=f"{name}/tagged", SecretString="x", Tags=[{"Key": "team", "Value": "shop"}]
    )
    world.aws.watch(stack.watched())
    try:
        for role in ("app", "shop"):
            assert stack.invoke("retrieve", _through_url(role, f"{name}/tagged"))["statusCode"] == 200
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}-retrieve"
    through: dict[str, str | tuple[str, ...]] = {"lambda:InvokedViaFunctionUrl": "true"}
    stack.requests = [
        ApiCall(
            f"{name}-{CALLER}",
            "lambda:InvokeFunctionUrl",
            function,
            {"lambda:FunctionUrlAuthType": "AWS_IAM"},
        ),
        ApiCall(f"{name}-{CALLER}", "lambda:InvokeFunction", function, through),
    ]
    direct = (function, f"{function}:live")
    stack.attempts = [ApiCall(f"{name}-{CALLER}", "lambda:InvokeFunction", each) for each in direct]
    return stack


def with_sealing(world: World, name: str) -> Stack:
    """A stack that seals with the first of two keys, and opens with both."""
    kms = world.aws.client("kms")
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    stack = deploy(world, name, SealingKeyArns=",".join(keys))
    stack.sealing = keys
    world.aws.watch(stack.watched())
    try:
        arn = stack.store("single", world.user(), Rotation=_rotation(stack))
        _wait_for_trial(stack, arn)
        assert stack.rotated(arn).ok
        assert stack.invoke("retrieve", {"SecretId": f"{name}/single"})["Value"]["username"]
        stack.invoke("operate", {"Action": "doctor", "SecretId": arn})
        text = world.secrets.get_secret_value(SecretId=arn)["SecretString"]
        assert text.startswith('{"rotators-sealed"')
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)
    return stack


def _through_url(role: str, secret: str) -> dict[str, Any]:
    """The event of a role's request through a function URL."""
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/one"
    return {
        "version": "2.0",
        "requestContext": {"authorizer": {"iam": {"accountId": ACCOUNT, "userArn": session}}},
        "body": json.dumps({"SecretId": secret}),
        "isBase64Encoded": False,
    }


def with_directory(world: World, name: str) -> Stack:
    """A stack for a user of a directory, with a real domain controller behind it."""
    with started(small_server("activedirectory")) as server:
        arn = create_directory(world.aws, server)
        value = directory_user(server, arn)
        stack = deploy(world, name, DirectoryArns=arn, DirectoryHosts=server.host)
        world.aws.watch(stack.watched())
        try:
            secret = stack.store("directory", value, Rotation=_rotation(stack))
            _wait_for_trial(stack, secret)
            assert stack.rotated(secret).ok
            stack.seen = world.aws.seen()
        finally:
            world.aws.watch(None)
    return stack


def adopted(world: World, name: str) -> Stack:
    """A stack for existing secrets: three prefixes, two keys, and one secret that only its tag permits."""
    kms = world.aws.client("kms")
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    stack = deploy(
        world,
        name,
        SecretNamePrefixes=f"{name}/,prod/,legacy-",
        KmsKeyArns=",".join(keys),
        CreateKmsKey="false",
        SecretTagValue="shop",
    )
    tag = [{"Key": "rotators-secret", "Value": "shop"}]
    secrets = [
        world.secrets.create_secret(
            Name=unique(prefix), SecretString=json.dumps(world.user()), KmsKeyId=key, Tags=tags
        )["ARN"]
        for prefix, key, tags in (
            (f"{name}/db", keys[0], []),
            ("prod/orders", keys[0], []),
            ("prod/users", keys[1], []),
            ("legacy-db", keys[1], []),
            ("elsewhere", keys[1], tag),
        )
    ]
    world.aws.watch(stack.watched())
    try:
        for arn in secrets:
            assert stack.rotated(arn).ok
            assert stack.rotated(arn).ok
        _lose_and_find(stack, secrets[-1])
        with acting(stack, OPERATOR):
            for arn in secrets:
                _command(["doctor", arn], None, 0)
                _command(["rotate", arn], None, 0)
            stack.invoke("rotate", _event("createSecret", secrets[-1], world.begin(secrets[-1])))
            _command(["repair", secrets[-1], "--idle"], None, 0)
            stack.invoke("rotate", _event("createSecret", secrets[-1], world.begin(secrets[-1])))
            _command(["repair", secrets[-1], "--idle", "--remote", "--stack", name], None, 0)
            for arn in secrets:
                _command(["check", arn, "--remote", "--stack", name], None, 0)
        stack.seen = world.aws.seen()
    finally:
        world.aws.watch(None)
    return stack


def _rotation(stack: Stack) -> dict[str, Any]:
    return {"FunctionArn": stack.rotate_arn, "AutomaticallyAfterDays": 30, "RotateImmediately": False}


def _wait_for_trial(stack: Stack, arn: str) -> None:
    ended = stack.world.aws.wait_for_event(arn, "TestRotationSucceeded", "TestRotationFailed")
    assert ended.name == "TestRotationSucceeded"


def _store(stack: Stack) -> str:
    """Store a new value, a changed one, the same again, and one with rotation."""
    for value, description in (("one", "first"), ("two", "second"), ("two", "second")):
        stack.store("plain", {"value": value}, Description=description, Tags=_READER)
    stack.store("plain", {"value": "two"}, Tags=[{"Key": "team", "Value": "shop"}])
    arn = stack.store("single", stack.world.user(), Tags=_READER, Rotation=_rotation(stack))
    _wait_for_trial(stack, arn)
    return arn


def _lose_and_find(stack: Stack, arn: str) -> None:
    """A rotation ends after setSecret, its stage is removed, and the next rotation finds the value."""
    token = stack.world.begin(arn)
    for step in ("createSecret", "setSecret"):
        stack.invoke("rotate", _event(step, arn, token))
    stack.world.of(arn).drop_pending(token)
    assert stack.rotated(arn).ok


def _look_for_databases(stack: Stack) -> None:
    """Admins whose secrets RDS manages. The databases do not exist, so rotations fail after the look-up."""
    for kind, tag in (("cluster", "aws:rds:primaryDBClusterArn"), ("db", "aws:rds:primaryDBInstanceArn")):
        owner = {"Key": tag, "Value": f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:nobody"}
        secrets = stack.world.secrets
        before = secrets.get_secret_value(SecretId=stack.admin)["SecretString"]
        bare = {"username": "postgres", "password": new_password()}
        secrets.put_secret_value(SecretId=stack.admin, SecretString=json.dumps(bare))
        secrets.tag_resource(SecretId=stack.admin, Tags=[owner])
        value = {**stack.world.user(), "masterarn": stack.admin}
        arn = stack.store(f"of-{kind}", value)
        assert not stack.rotated(arn).ok
        _notify(stack, arn)
        with acting(stack, OPERATOR):
            _command(["doctor", arn], None, 1)
            _command(["doctor", arn, "--remote", "--stack", stack.name], None, 1)
        secrets.untag_resource(SecretId=stack.admin, TagKeys=[tag])
        secrets.put_secret_value(SecretId=stack.admin, SecretString=before)


def _notify(stack: Stack, arn: str) -> None:
    """Repeat the delivery that EventBridge makes after a failure, to wait for its end."""
    event = json.loads((ROOT / "events" / "notify-rotation-failed.json").read_text(encoding="utf-8"))
    event["detail"]["additionalEventData"]["SecretId"] = arn
    event["detail"]["eventTime"] = dt.datetime.now(dt.UTC).isoformat()
    assert stack.invoke("notify", event)["Subject"].startswith("Rotation failed: ")


def _write_receipts(stack: Stack) -> None:
    """Run what the schedule runs every day. The events of the rotations before have written receipts."""
    if stack.signing:
        assert stack.invoke("receipt", {"Fill": True})["Left"] == 0


def _retrieve(stack: Stack, *arns: str) -> None:
    stack.invoke("retrieve", {"SecretId": arns[0]})
    stack.invoke("retrieve", {"SecretIds": [f"{stack.name}/plain", arns[0]]})


def _operate(stack: Stack, single: str, pair: str) -> None:
    """Run the commands of an operator whose only policy is the OperatorPolicy."""
    with acting(stack, OPERATOR):
        remote = ["--remote", "--stack", stack.name]
        for arguments, given, status in (
            (["check", single, "--stack", stack.name], None, 0),
            (["check", pair, *remote], None, 0),
            (["doctor", pair, *remote], None, 0),
            (["outputs", "--stack", stack.name, "--json"], None, 0),
            (["doctor", single], None, 0),
            (["doctor", pair], None, 0),
            (["rotate", single], None, 0),
            (["rollback", single, "--yes"], None, 0),
            (["show", f"{stack.name}/of-db"], None, 0),
            (["history", f"{stack.name}/of-db"], None, 0),
            (["invoke", f"{stack.name}-retrieve", "-"], {"SecretId": single}, 0),
            (["invoke", f"{stack.name}-store", "-"], {"Name": f"{stack.name}/new", "Value": {"a": "b"}}, 0),
            (["invoke", f"{stack.name}-rotate", "-"], {}, 1),
        ):
            _command(arguments, given, status)
        if stack.signing:
            _command(["receipt", "fill", "--stack", stack.name, "--yes"], None, 0)
        stack.invoke("rotate", _event("createSecret", single, stack.world.begin(single)))
        _command(["repair", single, "--idle"], None, 0)
        stack.invoke("rotate", _event("createSecret", single, stack.world.begin(single)))
        _command(["repair", single, "--idle", *remote], None, 0)


def _look(stack: Stack, name: str) -> None:
    with acting(stack, "viewer"), TemporaryDirectory() as folder:
        _command(["list", "--name", stack.name, "--failed"], None, None)
        _command(["list", name], None, 0)
        _command(["list", "--name", stack.name, "--key", str(stack.key)], None, 0)
        _command(["history", name], None, 0)
        _command(["policy", "check", "--preset", "cis"], None, None)
        _command(["report", "--name", stack.name, "-o", f"{folder}/page.html"], None, 0)
        _command(["invoke", f"{stack.name}-widget", "-"], {}, 0)


def _see_access(stack: Stack, arn: str) -> None:
    """Look at who has access to a secret with a key and a rotation function."""
    role = f"{stack.name}-app"
    trusted = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trusted]}
    for name in (role, f"{stack.name}-exclusive"):
        stack.world.aws.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(document)
        )
    with acting(stack, "access"):
        _command(["access", arn], None, 0)
        _command(["access", "matrix", arn], None, 0)
        _command(["access", "suggest", arn, "--for", role], None, 0)
    with acting(stack, "exclusive"):
        _command(["access", "suggest", arn, "--for", role, "--exclusive"], None, 0)


def _rename(stack: Stack) -> None:
    """Rename a secret that has all that a secret can have."""
    secrets, old = stack.world.secrets, f"{stack.name}/old"
    secrets.create_secret(
        Name=old,
        SecretString=json.dumps(stack.world.user()),
        KmsKeyId=str(stack.key),
        Tags=[{"Key": "team", "Value": "shop"}],
        AddReplicaRegions=[{"Region": "eu-west-1"}],
    )
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:DeleteSecret",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "others"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [denied]}
    secrets.put_resource_policy(SecretId=old, ResourcePolicy=json.dumps(policy))
    arn = secrets.rotate_secret(
        SecretId=old, RotationLambdaARN=stack.rotate_arn, RotationRules={"AutomaticallyAfterDays": 30}
    )["ARN"]
    assert stack.world.aws.wait_for_event(arn, "RotationSucceeded", "RotationFailed").name[-9:] == "Succeeded"
    with acting(stack, "rename"):
        _command(["rename", old, f"{stack.name}/new-name", "--yes"], None, 0)
        _command(["rename", old, f"{stack.name}/new-name", "--yes"], None, 0)
    stack.world.secrets.delete_resource_policy(SecretId=f"{stack.name}/new-name")


def _manage(stack: Stack, arn: str) -> None:
    """Run the commands for many secrets, each with the policies that docs/how-to/managing.md names for it."""
    name = f"{stack.name}/plain"
    _look(stack, name)
    with acting(stack, "manager"):
        for arguments in (
            ["tag", name, "--set", "team=other"],
            ["tag", name, "--remove", "team"],
            ["schedule", arn, "--every", "20"],
            ["schedule", arn, "--off"],
            ["replicate", name, "--to", "eu-west-1"],
            ["unreplicate", name, "--from", "eu-west-1"],
            ["delete", name],
            ["restore", name],
        ):
            _command([*arguments, "--yes"], None, 0)
    with acting(stack, "diff"):
        _command(["diff", name], None, 0)
    with acting(stack, "values"):
        _command(
            ["import", "-", "--new-key", str(stack.key), "--yes"], {f"{stack.name}/imported": {"a": 1}}, 0
        )
        _command(["import", "-", "--overwrite", "--yes"], {f"{stack.name}/imported": {"a": 2}}, 0)
        with TemporaryDirectory() as folder:
            _command(["export", "--name", f"{stack.name}/imported", "-o", f"{folder}/values"], None, 0)
        _command(["list", "--name", f"{stack.name}/", "--engine", "postgres"], None, 0)
    tags: dict[str, str | tuple[str, ...]] = {
        "aws:TagKeys": ("team", "rotators-admin"),
        "aws:ResourceAccount": ACCOUNT,
    }
    stack.attempts += [
        ApiCall(f"{stack.name}-manager", f"secretsmanager:{name}", arn, tags)
        for name in ("TagResource", "UntagResource")
    ]


_actor: ContextVar[tuple[Stack, str]] = ContextVar("_actor")


@contextmanager
def acting(stack: Stack, who: str) -> Iterator[None]:
    """Run commands as one of the ``PEOPLE``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", f"local-{stack.name}-{who}")
        clients._client.cache_clear()
        before = _actor.set((stack, who))
        yield
        _actor.reset(before)
    clients._client.cache_clear()


def _command(arguments: list[str], given: dict[str, Any] | None, status: int | None) -> None:
    stack, who = _actor.get()
    before = len(stack.world.aws.seen())
    done = CliRunner().invoke(cli, arguments, input=json.dumps(given) if given is not None else None)
    assert status is None or done.exit_code == status, (arguments, done.output, done.exception)
    seen = (each.call for each in stack.world.aws.seen()[before:])
    calls = [call for call in seen if call.principal == f"{stack.name}-{who}"]
    stack.ran.append(Ran(who, _name(arguments), calls))


def _name(arguments: list[str]) -> str:
    """The command's name as the page has it: with ``--exclusive``, but without other options."""
    words = arguments[:2] if arguments[1] in {"check", "fill", "matrix", "suggest"} else arguments[:1]
    return " ".join([*words, *(["--exclusive"] if "--exclusive" in arguments else [])])


def _event(step: str, arn: str, token: str) -> dict[str, Any]:
    return {"Step": step, "SecretId": arn, "ClientRequestToken": token, "RotationToken": str(uuid.uuid4())}
