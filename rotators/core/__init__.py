"""The rules of rotation, on the standard library only: nothing here knows AWS, a database or Lambda."""
