"""A folder in which the commands of the examples' READMEs run, against the local AWS.

Commands that cannot run here have a replacement on PATH: `sam` (the local CloudFormation does not translate
templates), `make build` (the functions run from this checkout), and `curl` (it gets the authority of the
private database server). All other commands are the real ones.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent.parent
_SECTION = re.compile(r"^## (?P<title>.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^```sh\n(?P<commands>.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "@@ end of block @@"

_SAM = '''#!{python}
"""What `sam deploy` does, on the template as the service translates it."""
import argparse, io, json, sys, zipfile
import boto3

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["deploy"])
parser.add_argument("--stack-name", required=True)
parser.add_argument("--profile")
parser.add_argument("--no-confirm-changeset", action="store_true")
parser.add_argument("--no-fail-on-empty-changeset", action="store_true")
parser.add_argument("--parameter-overrides", nargs="*", default=[])
given = parser.parse_args()

session = boto3.session.Session(profile_name=given.profile)
formation = session.client("cloudformation")
template = open({template!r}).read()
values = dict(each.split("=", 1) for each in given.parameter_overrides)
values = {{name: "" if value == '""' else value for name, value in values.items()}}
if "SslRootCert" in values:
    assert values["SslRootCert"] == "/var/task/global-bundle.pem"
    values["SslRootCert"] = {authority!r}
names = json.loads(template)["Parameters"]
assert set(values) <= set(names), set(values) - set(names)
new = [{{"ParameterKey": name, "ParameterValue": value}} for name, value in values.items()]
try:
    found = formation.describe_stacks(StackName=given.stack_name)["Stacks"][0]["Parameters"]
except formation.exceptions.ClientError:
    found = None
old = [
    {{"ParameterKey": each["ParameterKey"], "UsePreviousValue": True}}
    for each in found or []
    if each["ParameterKey"] not in values
]
wanted = {{"StackName": given.stack_name, "ChangeSetName": "samcli-deploy"}}
made = formation.create_change_set(
    **wanted,
    ChangeSetType="CREATE" if found is None else "UPDATE",
    TemplateBody=template,
    Capabilities=["CAPABILITY_IAM"],
    Parameters=new + old,
)
if formation.describe_change_set(**{{**wanted, "ChangeSetName": made["Id"]}})["Status"] == "FAILED":
    sys.exit(not given.no_fail_on_empty_changeset)
formation.execute_change_set(ChangeSetName=made["Id"])
buffer = io.BytesIO()
with zipfile.ZipFile(buffer, "w") as archive:
    archive.writestr("README", "The code runs from its source folder.")
made = [each["FunctionName"] for each in session.client("lambda").list_functions()["Functions"]]
for name in {functions!r}:
    function = f"{{given.stack_name}}-{{name}}"
    if function in made:  # the parameters decide about some functions
        session.client("lambda").update_function_code(FunctionName=function, ZipFile=buffer.getvalue())
'''


@dataclass(frozen=True)
class Readme:
    """The blocks of shell commands of one README, by the title of their section.

    Attributes:
        path: path of the file.
        sections: titles and blocks, in the file's order.
    """

    path: Path
    sections: dict[str, list[str]]

    @classmethod
    def of(cls, example: str) -> Readme:
        """The README of an example."""
        path = ROOT / "examples" / example / "README.md"
        parts = _SECTION.split(path.read_text(encoding="utf-8"))
        titles, texts = parts[1::2], parts[2::2]
        return cls(path, {title: _BLOCK.findall(text) for title, text in zip(titles, texts, strict=True)})


class Checkout:
    """A folder that looks like a checkout, with the replaced commands.

    Args:
        folder: an empty folder.
        environment: variables that make the commands use the local AWS.
        template: the translated template.yaml.
        authority: file with the trusted root certificates of the private database server.
        functions: names of the template's functions.
        more_path: folders of additional commands.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        *,
        template: Path,
        authority: str,
        functions: list[str],
        more_path: list[Path],
    ) -> None:
        self.folder = folder
        commands = folder / ".commands"
        commands.mkdir()
        (folder / "examples").symlink_to(ROOT / "examples")
        _command(
            commands / "sam",
            _SAM.format(
                python=sys.executable, template=str(template), authority=authority, functions=functions
            ),
        )
        _command(commands / "make", '#!/bin/sh\n[ "$1" = build ]\n')
        copy = f"cp {shlex.quote(authority)} global-bundle.pem"
        _command(commands / "curl", f"#!/bin/sh\n{copy}\n")
        path = [commands, Path(sys.executable).parent, *more_path, *os.environ["PATH"].split(os.pathsep)]
        self.environment = {**environment, "PATH": os.pathsep.join(map(str, path)), "HOME": str(folder)}

    def shell(self, example: str) -> Shell:
        """A shell for the commands of one README."""
        return Shell(Readme.of(example), self)


class Shell:
    """A bash for the blocks of a README, so that variables keep their values; use as a context manager."""

    def __init__(self, readme: Readme, checkout: Checkout) -> None:
        self._readme = readme
        self._bash = subprocess.Popen(
            ["bash", "-euo", "pipefail"],
            cwd=checkout.folder,
            env=checkout.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bash.kill()
        self._bash.wait()
        for stream in (self._bash.stdin, self._bash.stdout):
            if stream is not None:
                stream.close()

    def run(self, section: str, block: int | None = None) -> str:
        """Run the blocks of a section, or one of them; return their output.

        Raises:
            AssertionError: a command failed; its output is in the message.
        """
        (blocks,) = [found for title, found in self._readme.sections.items() if section in title]
        assert blocks, section
        return "".join(self.type(each) for each in (blocks if block is None else [blocks[block]]))

    def type(self, commands: str) -> str:
        """Run commands that are not in the README; return their output."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{commands}\necho '{_END}'\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.strip() == _END:
                return "".join(lines)
            lines.append(line)
        raise AssertionError(
            f"{self._readme.path.parent.name}: a command failed:\n{commands}\n{''.join(lines)}"
        )


def _command(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
