"""Common mistakes, and the answer of each command: tests/cli/mistakes.txt contains the transcript.

After an intended change, run this file with UPDATE_DOCS=1 and read the difference.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import entry_points
from pathlib import Path
from unittest import mock

import pytest

from rotators.aws import clients
from rotators.cli import cli
from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import PostgresServer
from rotators.testing import _targets
from tests.cli.command import Done, command
from tests.receipts.chains import Key
from tests.world import World, new_password

pytestmark = pytest.mark.processes

TRANSCRIPT = Path(__file__).with_name("mistakes.txt")
ROOT = Path(__file__).parents[2]
SPECIFIC = ("SECRETS_MANAGER_ENDPOINT", "AWS_ENDPOINT_URL_SECRETS_MANAGER")
NOTHING = "http://127.0.0.1:9"
"""An address where no server listens."""

MISTAKES = """
rotators
rotators shwo app
rotators --verbose

rotators show
rotators show app extra
rotators show nothing-of-this-name
rotators show ''
rotators show 'not a name'
rotators show arn:aws:secretsmanager:us-east-1:123456789012:secret:app
rotators show arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf
rotators show app --jsn
rotators show deleted
rotators show plain
rotators show empty
rotators show cancelled
rotators show nothing-of-this-name --json

rotators list nothing-of-this-name
rotators list --stale 30
rotators list --tag =prod
rotators list -o xml
rotators list --key alias/nothing-of-this-name
rotators list nothing-of-this-name --json
rotators key
rotators key list extra
rotators key versions
rotators key versions alias/nothing-of-this-name
rotators key versions nothing-of-this-name --json
rotators key rotate
rotators key rotate alias/nothing-of-this-name
rotators key rotate alias/aws/secretsmanager --yes
rotators key rotate app --every 30
rotators key rotate app --every 90 --off
rotators key create
rotators key create app
rotators key create alias/aws/app --yes
rotators key create alias/app --usage sign
rotators key create alias/app --spec ECC_NIST_P256 --every 90
rotators key create alias/app --spec AES
rotators key create alias/app
rotators key change app
rotators key change app --from alias/aws/secretsmanager --to alias/nothing-of-this-name
rotators key change app --from alias/nothing-of-this-name --to alias/aws/secretsmanager --json
rotators key change app --from alias/aws/secretsmanager --to alias/aws/secretsmanager
rotators key change --from alias/aws/secretsmanager --to alias/aws/secretsmanager
rotators tag app
rotators tag --set env=prod
rotators tag app --set env
rotators tag app --set env=prod --set env=test
rotators tag app --set env=prod --remove env
rotators tag nothing-of-this-name --set env=prod --yes
rotators schedule app
rotators schedule app --every 7 --off
rotators schedule app --off --window 2h
rotators schedule plain --every 7 --yes
rotators schedule nothing-of-this-name --off
rotators replicate app
rotators replicate nothing-of-this-name --to eu-west-1
rotators unreplicate app
rotators unreplicate nothing-of-this-name --from eu-west-1
rotators delete
rotators delete app --days 3
rotators delete nothing-of-this-name --yes
rotators restore nothing-of-this-name --yes
rotators export
rotators export nothing-of-this-name
rotators export app plain --format dotenv
rotators export app -o folder
rotators import
rotators import missing.json
rotators import missing.json --json
rotators import broken.json
rotators import picture.png
rotators import list.json --yes
rotators import retrieve.json --format vault
rotators import retrieve.json --to app
rotators import retrieve.json --format vault --to app --yes
rotators exec app
rotators exec nothing-of-this-name -- env
rotators exec broken -- env
rotators exec app --map NAME -- env
rotators exec app --map NAME=nothing -- env
rotators exec app --map NAME=host --map NAME=port -- env
rotators exec app --stage '' -- env
rotators exec nothing-of-this-name -- env --json
rotators exec app --map NAME=host -- no-such-program
rotators diff
rotators diff nothing-of-this-name
rotators diff app
rotators diff app '' ''
rotators diff broken AWSCURRENT AWSCURRENT
rotators policy
rotators policy check
rotators policy check missing.toml
rotators policy check missing.toml --json
rotators policy check picture.png
rotators policy check wrong.toml
rotators policy check --preset iso
rotators receipt
rotators receipt fill --stack nothing-of-this-name
rotators receipt verify
rotators receipt verify folder
rotators receipt verify folder --key missing.pem
rotators receipt verify folder --key picture.png
rotators receipt verify folder --key public.pem
rotators receipt verify missing --key public.pem
rotators receipt verify folder --key public.pem --known wrong.toml
rotators receipt verify s3://no-such-bucket --key public.pem
rotators access
rotators access nothing-of-this-name
rotators access role/nobody
rotators access app --scp missing.json
rotators access app --scp picture.png
rotators access app --session-policy missing.json
rotators access role/rotators-local --session-policy missing.json
rotators access role/rotators-local --session-policy wrong.toml
rotators access app extra
rotators access matrix
rotators access matrix --name nothing-of-this-name
rotators access suggest app
rotators access suggest app --for nobody
rotators access suggest app --for rotators-local --by-tag team
rotators access suggest app --for rotators-local --by-tag team=shop
rotators access suggest app --for rotators-local --keep role/x
rotators access suggest app --for rotators-local --exclusive --keep role/nobody
rotators audit
rotators audit who
rotators audit who app
rotators audit who app missing.json
rotators audit who app picture.png
rotators audit who app list.json
rotators audit who app empty.json
rotators audit who app s3://nothing-of-this-name
rotators audit who 'not a name' broken.json
rotators audit who app broken.json --athena logs
rotators audit who app --athena 'not a table'
rotators audit unused broken.json --for soon
rotators audit unused broken.json --secrets missing.txt
rotators audit previous broken.json --json
rotators audit ocsf
rotators audit ocsf missing.jsonl
rotators audit ocsf folder
rotators audit ocsf picture.png
rotators audit ocsf list.json
rotators audit ocsf cut.jsonl
rotators report
rotators report nothing-of-this-name -o page.html
rotators report app -o folder
rotators dashboard --port many
rotators dashboard --port $TAKEN

rotators schema postgress
rotators schema store --json

rotators engines extra
rotators engines --verbose

rotators rotate
rotators rotate nothing-of-this-name
rotators rotate plain
rotators rotate plain --enable
rotators rotate cancelled
rotators rotate deleted
rotators rotate empty --timeout 20
rotators rotate broken --timeout 20
rotators rotate unreachable --timeout 20
rotators rotate locked --timeout 20
rotators rotate app --timeout soon
rotators rotate app --timeout 0
rotators rotate broken --timeout 20 --json

rotators doctor
rotators doctor nothing-of-this-name
rotators doctor plain
rotators doctor deleted
rotators doctor empty
rotators doctor locked
rotators doctor app --remote --stack nowhere

rotators history
rotators history nothing-of-this-name
rotators history app --since soon
rotators history app --until 2d

rotators repair
rotators repair nothing-of-this-name
rotators repair deleted
rotators repair empty
rotators repair locked
rotators repair app --dryrun

rotators rename app
rotators rename nothing-of-this-name new
rotators rename app plain
rotators rename deleted new

rotators rollback
rotators rollback nothing-of-this-name
rotators rollback app
rotators rollback app --version none-of-this-id
rotators rollback app --version none-of-this-id --stage AWSPREVIOUS
rotators rollback deleted

rotators check
rotators check nothing-of-this-name
rotators check plain
rotators check deleted
rotators check app --remote --stack nowhere

rotators invoke
rotators invoke store
rotators invoke store missing.json
rotators invoke store folder
rotators invoke store broken.json
rotators invoke store picture.png
rotators invoke store list.json
rotators invoke store empty.json
rotators invoke retrieve missing-secret.json
rotators invoke retrieve missing-secret.json --json
rotators invoke rotate step.json
rotators invoke rotate token.json
rotators invoke rotate disabled.json
rotators invoke no-such-function retrieve.json
rotators invoke 'not a name' retrieve.json

rotators new
rotators new Acme
rotators new class
rotators new rotators
rotators new postgres
rotators new acme --directory folder
rotators new acme --directory broken.json
rotators new acme --directory broken.json/inside

rotators matrix --engine oracle
rotators matrix --strategy triple
rotators matrix --every 0
rotators matrix --engine postgres --strategy dual

rotators demo twice
DATABASE_URL=nonsense rotators demo
DATABASE_URL=postgresql:///db rotators demo
DATABASE_URL=postgresql://u:p@127.0.0.1:9/db?sslmode=disable rotators demo
DATABASE_URL=mysql://u:p@localhost/db rotators demo
PG_BIN=folder rotators demo

rotators up --engine oracle
rotators up --port many
rotators up --port 70000
rotators up --port $TAKEN

rotators deploy-local --template missing.yaml
rotators deploy-local --template folder
OWN= rotators deploy-local --template picture.png
rotators outputs --stack nothing-of-this-name
rotators outputs --shell --json
rotators deploy-local --template broken.json --parameter nonsense

AWS_ENDPOINT_URL=$NOTHING rotators show app
AWS_ENDPOINT_URL=$NOTHING rotators rotate app
AWS_ENDPOINT_URL=$NOTHING rotators invoke retrieve retrieve.json
AWS_ENDPOINT_URL=$WEBSITE rotators show app
AWS_ENDPOINT_URL=$WEBSITE rotators rotate app
AWS_ENDPOINT_URL=$WEBSITE rotators doctor app
AWS_ENDPOINT_URL=$WEBSITE rotators check app
AWS_ENDPOINT_URL=$WEBSITE rotators outputs
AWS_ENDPOINT_URL=$WEBSITE rotators invoke retrieve retrieve.json
AWS_ENDPOINT_URL=localhost:4599 rotators show app
AWS_ENDPOINT_URL=http://no-such-host.invalid rotators show app
AWS_ENDPOINT_URL=$EXPIRED rotators show app
AWS_PROFILE=nobody rotators show app
AWS_REGION= AWS_DEFAULT_REGION= rotators show app
AWS_REGION='us east' rotators show app
AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= rotators show app
"""

FILES: dict[str, str | bytes] = {
    "broken.json": '{\n  "SecretId": \n',
    "picture.png": b"\x89PNG\r\n\x1a\n\x00\xff",
    "list.json": "[1, 2]",
    "cut.jsonl": '{"level":"INFO"}\n{"audit":{"version":1,"id":"1"}}\n{"audit":{"version":1,"i',
    "public.pem": Key().pem,
    "wrong.toml": "[[rule]]\nid = 'age'\nrequire = { max_age = 90 }\n",
    "empty.json": "",
    "missing-secret.json": '{"SecretId": "nothing-of-this-name"}',
    "retrieve.json": '{"SecretId": "app"}',
    "step.json": json.dumps({"Step": "create", "SecretId": "app", "ClientRequestToken": "t" * 36}),
    "token.json": json.dumps({"Step": "setSecret", "SecretId": "app", "ClientRequestToken": "t" * 36}),
    "disabled.json": json.dumps(
        {"Step": "createSecret", "SecretId": "plain", "ClientRequestToken": "t" * 36}
    ),
}


class Website(BaseHTTPRequestHandler):
    """Answers every request like a website, or with the refusal of an expired token."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        expired = self.path.startswith("/expired")
        body = b'{"__type": "ExpiredTokenException", "message": "The security token is expired"}'
        self.send_response(400 if expired else 200)
        self.end_headers()
        self.wfile.write(body if expired else b"<html>Welcome</html>")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """Addresses in the mistakes: of no server, of a website, of an expired token, and of a used port."""
    website = HTTPServer(("127.0.0.1", 0), Website)
    threading.Thread(target=website.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as taken, website:
        here = f"http://127.0.0.1:{website.server_port}"
        port = str(taken.getsockname()[1])
        yield {"NOTHING": NOTHING, "WEBSITE": here, "EXPIRED": f"{here}/expired", "TAKEN": port}
        website.shutdown()


@pytest.fixture(scope="module")
def secrets(aws: LocalAws, server: PostgresServer) -> Iterator[None]:
    """The secrets in the mistakes; removed at the end."""
    world = World(aws, server)
    user = world.user()
    locked = world.user()
    values = {
        "app": json.dumps(user),
        "plain": json.dumps(user),
        "deleted": json.dumps(user),
        "cancelled": json.dumps(user),
        "broken": "not JSON",
        "unreachable": json.dumps({**user, "port": 9}),
        "locked": json.dumps(locked),
    }
    names = [*values, "empty"]
    for name, value in values.items():
        world.secrets.create_secret(Name=name, SecretString=value)
    world.secrets.create_secret(Name="empty")
    world.set_password(locked["username"], new_password())
    for name in names:
        if name not in {"plain", "deleted"}:
            world.aws.enable_rotation(name)
    world.secrets.cancel_rotate_secret(SecretId="cancelled")
    world.secrets.delete_secret(SecretId="deleted")
    yield
    for name in names:
        world.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mistakes")
    for name, content in FILES.items():
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (place / "folder").mkdir()
    (place / "folder" / "file").touch()
    return place


def run(line: str, places: dict[str, str]) -> Done:
    """Run one line. OWN in the line requests a separate process, which also tests the command's start."""
    for name, value in places.items():
        line = line.replace(f"${name}", value)
    words = shlex.split(line)
    start = words.index("rotators")
    changes = dict(word.split("=", 1) for word in words[:start])
    if not changes:
        return command(*words[start + 1 :])
    kept = {name: value for name, value in os.environ.items() if name not in SPECIFIC}
    environment = {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", **changes}
    environment |= {"PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if value or name not in changes}
    if "OWN" not in changes:
        with mock.patch.dict(os.environ, environment, clear=True):
            if "AWS_ACCESS_KEY_ID" in changes:
                clients._client.cache_clear()  # a client keeps its credentials
            return command(*words[start + 1 :])
    completed = subprocess.run(
        [sys.executable, "-m", "rotators", *words[start + 1 :]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(completed.returncode, completed.stdout, completed.stderr)


def normalised(done: Done, folder: Path, places: dict[str, str]) -> str:
    """The printed text without the parts that differ between runs."""
    text = re.sub(r" +$", "", done.text, flags=re.M).strip("\n").replace(str(folder), "/folder")
    text = text.replace(places["TAKEN"], "TAKEN").replace(os.environ["AWS_ENDPOINT_URL"], "http://LOCAL")
    for pattern, word in (
        (r"http://127\.0\.0\.1:(?!9\b)\d+", "http://OTHER"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
        (r"│ [0-9a-f]{8} │", "│ VERSION  │"),
        (r"\b(app|plain|deleted|empty|cancelled|broken|locked|unreachable)-[A-Za-z0-9]{6}\b", r"\1-SUFFIX"),
        (r"app_[0-9a-f]{6}_\d+", "USER"),
        (r"localhost:\d{4,5}", "localhost:PORT"),
        (r"20\d\d-\d\d-\d\d(?![T\d ])", "YYYY-MM-DD"),
        (r" +\d+ ms", " N ms"),
        (r"│ +\d+ (s|min) │", "│ N s │"),
        (r"\b\d+(\.\d)? s\b", "N s"),
        (r'"(ms|seconds)": [\d.]+', r'"\1": N'),
        (r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00)?", "TIME"),
    ):
        text = re.sub(pattern, word, text)
    text = re.sub(r'"stackTrace": \[.*?\n  \]', '"stackTrace": […]', text, flags=re.S)
    # The transcript is about mistakes, not about the engines.
    for names in (known_engines(), _targets.names()):
        text = text.replace(", ".join(names), "ENGINES").replace(", ".join(map(repr, names)), "ENGINES")
    # The width of a column depends on how old a version is.
    text = re.sub(r" +(?=[│┃])", " ", text)
    text = re.sub(r"(?<=[│┃]) +", " ", text)
    return re.sub(r"[━─]+", "─", text)


def known_engines() -> list[str]:
    """The names of all engines."""
    return sorted(entry.name for entry in entry_points(group="rotators"))


def transcript(folder: Path, places: dict[str, str]) -> list[tuple[str, Done, str]]:
    lines = [line for line in MISTAKES.splitlines() if line]
    found = []
    for line in lines:
        done = run(line, places)
        found.append((line, done, f"$ {line}\n{normalised(done, folder, places)}\nexit {done.status}\n"))
    return found


@pytest.fixture(scope="module")
def entries(secrets: None, folder: Path, places: dict[str, str]) -> Iterator[list[tuple[str, Done, str]]]:
    del secrets
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield transcript(folder, places)
    finally:
        os.chdir(before)


@pytest.mark.timeout(300)
def test_the_transcript_matches_the_commands_output(entries: list[tuple[str, Done, str]]) -> None:
    text = "\n".join(entry for _, _, entry in entries)
    if os.environ.get("UPDATE_DOCS"):
        TRANSCRIPT.write_text(text, encoding="utf-8")
    assert text.splitlines() == TRANSCRIPT.read_text(encoding="utf-8").splitlines()


ANSWERED = (
    "rotators show plain",
    "rotators show empty",
    "rotators show cancelled",
    "rotators show deleted",
    "rotators show arn:aws:secretsmanager:us-east-1:123456789012:secret:app",
    "rotators doctor plain",
    "rotators check plain",
)
"""Valid uses of the command, so not mistakes of the user."""


def test_each_answer_names_the_next_action(
    entries: list[tuple[str, Done, str]],
) -> None:
    for line, done, entry in entries:
        assert "Traceback" not in done.text, entry
        assert done.status == 0 if line in ANSWERED else done.status in {1, 2}, entry
        assert "Next:" in done.text or "--help" in done.text, entry


def test_a_line_about_an_error_is_one_line(entries: list[tuple[str, Done, str]]) -> None:
    for line, done, entry in entries:
        if line != "rotators" and not re.fullmatch(
            r"rotators (show|rotate|doctor|repair|check|new|invoke|policy|access|audit|key|receipt)", line
        ):
            assert done.stderr.count("\n") <= 1, entry


def test_every_command_is_tried() -> None:
    tried = {
        words[words.index("rotators") + 1]
        for words in map(shlex.split, MISTAKES.splitlines())
        if len(words) > 1
    }
    assert set(cli.commands) <= tried
