"""CloudFormation: features that moto lacks or implements differently, and SAM templates."""
