"""IAM's decisions by policies: one evaluator for `rotators access` and for the local AWS."""
