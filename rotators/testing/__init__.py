"""The conformance kit: what every rotator has to pass, ours and strangers'.

Give a target (`target.Target`) and subclass the suites in a test module; pytest does the rest::

    @pytest.fixture(scope="module")
    def target(): ...

    class TestContract(RotatorContractV1):
        rotator = "acme"

`contract.py` holds the suites, `crash.py` the crash matrix, `races.py` what happens at the same time.
A suite is versioned: when the bar rises, ``RotatorContractV2`` appears and V1 stays as it is.
"""
