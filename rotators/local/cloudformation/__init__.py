"""CloudFormation: what moto leaves out or does differently, and SAM templates."""
