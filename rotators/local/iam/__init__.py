"""IAM's decisions about calls of the local AWS."""
