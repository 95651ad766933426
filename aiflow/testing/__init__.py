"""Workflow tests in virtual time (`aiflow test`, docs/testing.md): the same plan, engine and scripts as a real run.

    files.py       a test file -> a `Suite` of cases, or its faults
    runner.py      cases -> results, several at a time
    world.py       one case: its namespace in the store, its clock, its engine, its copy of the project
    mocks.py       what stands in for steps, laid over the compiled plan
    expect.py      a run that has ended -> what is not as expected
    coverage.py    what no case ran
    record.py      a real run -> a test file
"""
