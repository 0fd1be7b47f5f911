"""Management of many secrets: inventory, selector, and the secrets that need attention."""
