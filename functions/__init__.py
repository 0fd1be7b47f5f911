"""What template.yaml names: one module per Lambda function, which imports its handler. Not in the wheel."""
