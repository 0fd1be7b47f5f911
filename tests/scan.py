"""Scans CloudFormation templates with checkov: `make scan`.

checkov alone also accepts a template that it could not read, a skip without a reason, and a skip that is no
longer needed. To find unneeded skips, each template is scanned a second time without skips.

It uses only the standard library, because checkov has a separate environment.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOV = Path(sys.executable).with_name("checkov")
NO_COMMENT = "No comment provided"
"""The comment that checkov reports for a skip without a comment."""

KINDS = {"PASSED": "passed_checks", "FAILED": "failed_checks", "SKIPPED": "skipped_checks"}


@dataclass(frozen=True)
class Result:
    """The result of one checkov check for one resource.

    Attributes:
        path: the template's path, as passed to the scan.
        resource: type and logical id, such as `AWS::KMS::Key.SecretsKey`.
        check: the check's id, such as `CKV_AWS_7`.
        name: the requirement of the check.
        outcome: `PASSED`, `FAILED` or `SKIPPED`.
        reason: the comment of a skip; empty if it has none, and for other outcomes.
    """

    path: str
    resource: str
    check: str
    name: str
    outcome: str
    reason: str = ""

    @property
    def subject(self) -> tuple[str, str]:
        """Resource and check, which stay the same when the skips are removed."""
        return self.resource, self.check


def without_skips(template: str) -> str:
    """The template's text with the metadata that checkov reads renamed, so that it skips nothing."""
    return re.sub(r"\bcheckov(?=['\"]?\s*:)", "not-read", template)


def results(report: dict[str, Any]) -> list[Result]:
    """The results of checkov's JSON report on CloudFormation.

    Args:
        report: what `checkov --output json` prints. It has no `results` if no file had a resource.
    """
    found = report.get("results", {})
    return [
        Result(
            path=check["file_path"],
            resource=check["resource"],
            check=check["check_id"],
            name=check["check_name"],
            outcome=outcome,
            reason=check["check_result"].get("suppress_comment", "").replace(NO_COMMENT, "").strip(),
        )
        for outcome, kind in KINDS.items()
        for check in found.get(kind, [])
    ]


def complaints(path: str, scanned: Sequence[Result], bare: Sequence[Result]) -> Iterator[str]:
    """Describes the faults of one template.

    Args:
        path: the template's path, which the sentences contain.
        scanned: the results for the template.
        bare: the results for the template without its skips.
    """
    if not scanned:
        yield f"{path}: checkov checked nothing. Is it a template that it can read? Run cfn-lint {path}."
    failed = {result.subject for result in bare if result.outcome == "FAILED"}
    for result in scanned:
        where = f"{path}: {result.resource}: {result.check}"
        if result.outcome == "FAILED":
            yield f"{where}: {result.name}. Fix it, or skip it in the resource's Metadata, with a reason."
        elif result.outcome == "SKIPPED" and not result.reason:
            yield f"{where} is skipped without a reason. Write one as the skip's comment."
        elif result.outcome == "SKIPPED" and result.subject not in failed:
            yield f"{where} is skipped, but nothing is wrong any more. Remove the skip."


def checkov(paths: Sequence[Path], root: Path) -> dict[str, list[Result]]:
    """Runs checkov once.

    Args:
        paths: the templates, below `root`.
        root: the folder that checkov runs in; its report names files from there.

    Returns:
        The results by the template's path from `root`.

    Raises:
        SystemExit: checkov itself failed; its message states the cause.
    """
    names = [path.relative_to(root).as_posix() for path in paths]
    # Without --skip-download it requests texts from its vendor's server, which the reports do not contain.
    options = ["--framework", "cloudformation", "--skip-download", "--soft-fail", "--output", "json"]
    done = subprocess.run(
        [CHECKOV, *options, "--file", *names], cwd=root, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"checkov ended with status {done.returncode}.\n{done.stdout}")
    by_name: dict[str, list[Result]] = {name: [] for name in names}
    for result in results(json.loads(done.stdout)):
        by_name[result.path.removeprefix("/")].append(result)
    return by_name


def scan(paths: Sequence[Path]) -> dict[Path, tuple[list[Result], list[Result]]]:
    """Scans templates, each with and without its skips.

    Args:
        paths: the templates.

    Returns:
        By template: the results with the skips, and the results without.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        pairs: dict[Path, tuple[Path, Path]] = {}
        for number, path in enumerate(paths):
            text = path.read_text(encoding="utf-8")
            pairs[path] = (root / f"{number}-as-written.yaml", root / f"{number}-without-skips.yaml")
            pairs[path][0].write_text(text, encoding="utf-8")
            pairs[path][1].write_text(without_skips(text), encoding="utf-8")
        found = checkov([copy for pair in pairs.values() for copy in pair], root)
        return {path: (found[written.name], found[bare.name]) for path, (written, bare) in pairs.items()}


def main(arguments: Sequence[str]) -> int:
    """Prints the skips with their reasons, then the faults.

    Args:
        arguments: the templates' paths.

    Returns:
        The exit status: 0 if there is no fault, else 1.
    """
    wrong: list[str] = []
    every: list[Result] = []
    for path, (scanned, bare) in scan([Path(each) for each in arguments]).items():
        for result in (each for each in scanned if each.outcome == "SKIPPED"):
            print(f"{path}: {result.resource}: {result.check}: {result.name}")
            print(f"    Skipped: {result.reason or NO_COMMENT}")
        every += scanned
        wrong += complaints(str(path), scanned, bare)
    counts = ", ".join(f"{sum(each.outcome == kind for each in every)} {kind.lower()}" for kind in KINDS)
    print(f"{len(arguments)} templates: {counts}.")
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
