"""Questions about CloudTrail's records: who reads secrets, which are unused, who reads retired versions."""
