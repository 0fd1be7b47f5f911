"""The rules of rotation, on the standard library only: nothing here depends on AWS, a database or Lambda."""
