"""One Region of the local AWS for all examples, in which the commands of their READMEs run."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from rotators.local.aws import LocalAws
from rotators.local.cloudformation.sam import translated
from rotators.local.servers.postgres import PostgresServer
from tests.examples.checkout import ROOT, Checkout, Shell
from tests.examples.place import PROD, REGION, Place, secret_of_prod
from tests.world import World, remembered


@pytest.fixture(scope="module")
def place(aws: LocalAws, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The Region, with nothing deployed; endpoints of clusters are the private PostgreSQL."""
    folder = tmp_path_factory.mktemp("checkout")
    world = World(aws, server)
    template = translated(ROOT / "template.yaml", REGION, _code(aws))
    path = folder / ".template.json"
    path.write_text(json.dumps(template), encoding="utf-8")
    functions = [
        each["Properties"]["FunctionName"]["Fn::Sub"].rpartition("-")[2]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Lambda::Function"
    ]
    checkout = Checkout(
        folder,
        _environment(aws, folder),
        template=path,
        authority=str(server.ca),
        functions=functions,
        more_path=[] if shutil.which("psql") else [PostgresServer.find().directory],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "database", lambda given: _database(world, given))
        yield Place(world, checkout)
        aws.watch(None)
    with world.login(world.admin()) as admin:
        admin.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        for name in ("shop_clone", "shop", "dbadmin"):
            if world.exists(name):
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _environment(aws: LocalAws, folder: Path) -> dict[str, str]:
    """The variables for the commands; two profiles are two accounts."""
    found = aws.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{PROD}:role/people", RoleSessionName="people"
    )["Credentials"]
    credentials = folder / ".credentials"
    credentials.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = local\naws_secret_access_key = local\n"
            for name in ("default", "tools")
        )
        + f"[prod]\naws_access_key_id = {found['AccessKeyId']}\n"
        f"aws_secret_access_key = {found['SecretAccessKey']}\naws_session_token = {found['SessionToken']}\n",
        encoding="utf-8",
    )
    exports = {**aws.exports(), "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    del exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]
    return {
        **exports,
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_PAGER": "",
    }


def _code(aws: LocalAws) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The code runs from its source folder.")
    storage = aws.client("s3")
    storage.create_bucket(Bucket="examples")
    storage.put_object(Bucket="examples", Key="code", Body=buffer.getvalue())
    return "s3://examples/code"


def _database(world: World, given: Mapping[str, Any]) -> tuple[str, int]:
    """Create what Aurora creates: an admin that is not a superuser, and a database that the admin owns."""
    admin, password = str(given["master_username"]), remembered(str(given["master_user_password"]))
    world.create_user(admin, password, options="CREATEROLE CREATEDB")
    with world.login(world.admin()) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(given["database_name"]), sql.Identifier(admin)
            )
        )
    return world.server.host, world.server.port


@pytest.fixture(scope="module")
def shop(place: Place) -> Iterator[Shell]:
    """examples/aurora-postgres, deployed up to the second rotation with the roles enforced."""
    place.client("iam").create_role(RoleName="shop", AssumeRolePolicyDocument=json.dumps(_TRUST))
    with place.checkout.shell("aurora-postgres") as shell:
        shell.run("1. Cluster")
        shell.run("2. The stack of rotators")
        place.enforce("rotators")
        shell.run("3. The application's user")
        shell.run("4. Rotation", 0)
        arn = place.output("shop-db", "SecretArn")
        place.wait_for(arn, "RotationSucceeded")
        shell.run("4. Rotation", 1)
        place.wait_for(arn, "RotationSucceeded", 2)
        shell.run("5. The application")
        yield shell


_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture(scope="module")
def acme(place: Place, shop: Shell) -> Iterator[dict[str, Any]]:
    """examples/third-party-rotator, deployed up to the second rotation; the first value."""
    with place.checkout.shell("third-party-rotator") as shell:
        try:
            shell.run("1. The rotator")
        except AssertionError as error:
            if "No matching distribution" in str(error) and not os.environ.get("CI"):
                pytest.skip("pip could not build a package here")
            raise
        place.enforce("rotators")
        command = [sys.executable, "-m", "acme_keys.service", "secret.json"]
        with subprocess.Popen(
            command,
            cwd=place.checkout.folder,
            env={**place.checkout.environment, "PYTHONPATH": "layer/python"},
            stdout=subprocess.PIPE,
            text=True,
        ) as service:
            try:
                assert service.stdout is not None
                assert "listens" in service.stdout.readline()
                shell.run("2. The secret")
                arn = place.output("acme-api", "SecretArn")
                first = place.value(arn)
                shell.run("3. Rotation", 0)
                place.wait_for(arn, "RotationSucceeded")
                shell.run("3. Rotation", 1)
                place.wait_for(arn, "RotationSucceeded", 2)
                yield first
            finally:
                service.kill()


@pytest.fixture(scope="module")
def endpoints(place: Place, shop: Shell) -> Iterator[Shell]:
    """examples/private-subnets, with all three endpoints."""
    with place.checkout.shell("private-subnets") as shell:
        shell.run("Create the endpoints")
        shell.type(
            "aws cloudformation deploy --stack-name rotators-endpoints"
            " --template-file examples/private-subnets/template.yaml"
            f" --parameter-overrides WithRds=true WithSts=true OtherAccountIds={PROD}"
        )
        yield shell


@pytest.fixture(scope="module")
def across(place: Place, endpoints: Shell) -> Iterator[Shell]:
    """examples/cross-account, deployed up to the first rotation, through the endpoints."""
    value = place.world.user()
    (place.checkout.folder / "secret.json").write_text(json.dumps(value), encoding="utf-8")
    with place.checkout.shell("cross-account") as shell:
        shell.run("1. tools")
        shell.run("2. prod: a key")
        place.enforce("rotators-prod", endpoints=place.endpoint_policies())
        place.enforce("rotators-target", PROD, endpoints=place.endpoint_policies())
        shell.run("3. prod: a secret")
        place.wait_for(secret_of_prod(place), "RotationSucceeded")
        yield shell
