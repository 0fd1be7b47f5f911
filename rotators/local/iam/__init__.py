"""Who may do what: IAM's decision over a role's statements, for the calls that the local AWS sees."""
