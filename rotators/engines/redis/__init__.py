"""Redis and Valkey: only the client's side, ``driver.py``, exists so far; there is no rotator yet."""
