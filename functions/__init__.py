"""The functions that template.yaml names: each module imports the handler of one. Not in the wheel."""

import gc

# A cold start with a driver creates about 100,000 objects that live as long as the process: modules, the
# client. Python searches for garbage after every 2,000 new objects, and would find almost none among these.
gc.set_threshold(150_000)
