"""Findings in the formats of other tools: SARIF for code scanning, and JUnit for test reports of a CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from rotators import __version__
from rotators.core.visible import visible
from rotators.manage.inventory import Entry
from rotators.manage.policy import LEVELS, PolicyFinding, SecretPolicy

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(policy: SecretPolicy, findings: Sequence[PolicyFinding]) -> dict[str, Any]:
    """Return findings as a SARIF 2.1.0 log.

    Args:
        policy: the rules.
        findings: the findings.

    Returns:
        The log as JSON types. Its locations are the ARNs of the secrets.
    """
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.title},
            "defaultConfiguration": {"level": rule.level},
        }
        for rule in policy.rules
    ]
    results = [
        {
            "ruleId": each.rule.id,
            "level": each.rule.level,
            "message": {"text": f"{each.secret.name}: {each.message}"},
            "locations": [_location(each.secret)],
            "partialFingerprints": {"secretAndRule": f"{each.secret.arn}/{each.rule.id}"},
        }
        for each in findings
    ]
    driver = {"name": "rotators", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _location(secret: Entry) -> dict[str, Any]:
    # Code scanning requires the path of a file in each result, and accepts only the checkout's scheme.
    place = {"artifactLocation": {"uri": f"secrets/{quote(secret.name)}"}, "region": {"startLine": 1}}
    resource = {"name": secret.name, "fullyQualifiedName": secret.arn, "kind": "resource"}
    return {"physicalLocation": place, "logicalLocations": [resource]}


def junit(policy: SecretPolicy, findings: Sequence[PolicyFinding]) -> str:
    """Return findings as a JUnit report: a test suite for each rule, and a test case for each finding.

    Args:
        policy: the rules.
        findings: the findings.

    Returns:
        The XML document. A rule without findings has one test case that passed.
    """
    root = ET.Element("testsuites", name="rotators policy check")
    for rule in policy.rules:
        own = [each for each in findings if each.rule is rule]
        counts = Counter(map(_kind, own))
        suite = ET.SubElement(
            root,
            "testsuite",
            name=visible(rule.id),
            tests=str(max(len(own), 1)),
            failures=str(counts["failure"]),
            errors=str(counts["error"]),
        )
        if not own:
            ET.SubElement(suite, "testcase", classname=visible(rule.id), name=visible(rule.title))
        for each in own:
            case = ET.SubElement(
                suite, "testcase", classname=visible(rule.id), name=visible(each.secret.name)
            )
            if _kind(each) == "system-out":
                ET.SubElement(case, "system-out").text = f"{rule.level}: {visible(each.message)}"
            else:
                ET.SubElement(case, _kind(each), message=visible(each.message), type=rule.level)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _kind(finding: PolicyFinding) -> str:
    """Return the element of a finding. Only those of the level error fail the check, and so the report."""
    if finding.rule.level != LEVELS[0]:
        return "system-out"
    return "error" if finding.unknown else "failure"
