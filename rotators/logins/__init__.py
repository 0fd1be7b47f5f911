"""Common parts of all logins: addresses, trust, deadlines and the causes of failures."""
