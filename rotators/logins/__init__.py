"""What all logins share: addresses, trust, deadlines and the causes of failures."""
