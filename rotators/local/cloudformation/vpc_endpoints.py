"""VPC endpoints in the local CloudFormation. Moto's own stores policies in a form that is not JSON."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from moto.cloudformation.exceptions import ValidationError

from rotators.local.cloudformation.resource import Client, Make, Properties, StackResource, as_numbers


def _endpoint(client: Client, name: str, given: Properties) -> StackResource:
    """CFN/aws-resource-ec2-vpcendpoint.

    As on AWS, a VPC has at most one endpoint with private DNS for a service (PrivateLink guide,
    interface-endpoints).
    """
    ec2 = client("ec2")
    wanted = as_numbers({**given, "PolicyDocument": json.dumps(given["PolicyDocument"])})
    if name.startswith("vpce-"):  # an update; moto cannot change all of an endpoint, so this replaces it
        ec2.delete_vpc_endpoints(VpcEndpointIds=[name])
    _refuse_a_second(ec2, wanted)
    name = ec2.create_vpc_endpoint(**wanted)["VpcEndpoint"]["VpcEndpointId"]
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[name])["VpcEndpoints"][0]
    entries = [f"{entry['HostedZoneId']}:{entry['DnsName']}" for entry in found.get("DnsEntries", [])]
    return StackResource(
        name, {"DnsEntries": entries}, partial(ec2.delete_vpc_endpoints, VpcEndpointIds=[name])
    )


def _refuse_a_second(ec2: Any, wanted: Properties) -> None:
    others = [
        each["VpcEndpointId"]
        for each in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        if (each["VpcId"], each["ServiceName"]) == (wanted["VpcId"], wanted["ServiceName"])
        and each.get("PrivateDnsEnabled")
        and each["State"] != "deleted"
    ]
    if others and wanted.get("PrivateDnsEnabled"):
        raise ValidationError(
            message=f"private-dns-enabled cannot be set because there is already a conflicting DNS domain for"
            f" {wanted['ServiceName']} in the VPC {wanted['VpcId']}"
        )


TYPES: dict[str, Make] = {"AWS::EC2::VPCEndpoint": _endpoint}
