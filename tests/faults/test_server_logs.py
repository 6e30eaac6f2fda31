"""When a server took writes, read from logs as PostgreSQL 15 writes them."""

from tests.faults.checkers import Stretch, overlaps
from tests.faults.server_logs import stretches

STANDBY_THEN_PRIMARY = """\
100.000 [10] LOG:  starting PostgreSQL 15.18 on x86_64
100.010 [13] LOG:  entering standby mode
100.100 [10] LOG:  database system is ready to accept read-only connections
130.000 [13] LOG:  received promote request
130.050 [13] LOG:  selected new timeline ID: 2
130.080 [13] LOG:  archive recovery complete
130.200 [10] LOG:  database system is ready to accept connections
150.000 [10] LOG:  received immediate shutdown request
150.100 [10] LOG:  database system is shut down
160.000 [20] LOG:  starting PostgreSQL 15.18 on x86_64
160.010 [23] LOG:  entering standby mode
160.100 [20] LOG:  database system is ready to accept read-only connections
"""

PRIMARY_KILLED = """\
10.000 [1] LOG:  starting PostgreSQL 15.18 on x86_64
10.100 [1] LOG:  database system is ready to accept connections
some line of another program
12.000 [7] ERROR:  canceling statement due to user request
40.000 [2] LOG:  starting PostgreSQL 15.18 on x86_64
40.010 [3] LOG:  database system was interrupted; last known up at 2026
40.200 [2] LOG:  database system is ready to accept connections
50.000 [2] LOG:  received fast shutdown request
"""

BACKEND_CRASHED = """\
10.100 [1] LOG:  database system is ready to accept connections
20.000 [1] LOG:  server process (PID 9) was terminated by signal 9: Killed
20.000 [1] LOG:  all server processes terminated; reinitializing
20.500 [1] LOG:  database system is ready to accept connections
30.000 [1] LOG:  received fast shutdown request
"""


def test_a_standby_takes_writes_from_its_promotion_to_its_shutdown() -> None:
    found = list(stretches("pg1", STANDBY_THEN_PRIMARY.splitlines()))
    assert found == [Stretch("pg1", 130.2, 150.0)]


def test_a_server_that_was_killed_does_not_say_when() -> None:
    found = list(stretches("pg2", PRIMARY_KILLED.splitlines()))
    assert found == [Stretch("pg2", 10.1, None), Stretch("pg2", 40.2, 50.0)]


def test_the_crash_of_a_backend_ends_nothing() -> None:
    found = list(stretches("pg3", BACKEND_CRASHED.splitlines()))
    assert found == [Stretch("pg3", 10.1, 30.0)]


def test_a_former_primary_that_lived_on_overlaps() -> None:
    """What the checker is there for."""
    new = list(stretches("pg1", STANDBY_THEN_PRIMARY.splitlines()))
    old = list(
        stretches(
            "pg2",
            [
                "90.000 [1] LOG:  database system is ready to accept connections",
                "131.000 [1] LOG:  received immediate shutdown request",
            ],
        )
    )
    assert overlaps([*new, *old]) == ((old[0], new[0]),)
