"""Changes: what is refused, with which words, and what a change makes of the settings."""

import json

import pytest

from regnal.configuration.problems import ConfigurationError
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.replay.what_if.changes import Changes, parsed_change, with_settings
from tests.replay.what_if.recorded_world import document_of

SETTINGS = Settings(
    name="pg1",
    scope="demo",
    conn_url="postgres://pg1:5432/postgres",
    api_url="http://pg1:8008/patroni",
    version="4.1.5",
    use_pg_rewind=True,
)


def recorded(settings: Settings = SETTINGS) -> ConfigurationApplied:
    return ConfigurationApplied(
        settings=settings,
        document=json.dumps(document_of(settings)),
        postgres_changed=False,
        dynamic=None,
    )


def applied(*texts: str, to: str = "pg1") -> tuple[Settings, tuple[str, ...]]:
    changes = Changes(tuple(map(parsed_change, texts)))
    configuration, warnings = changes.applied(to, recorded())
    return configuration.settings, warnings


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ttl", "--set ttl: is not OPTION=VALUE"),
        ("=3", "is not OPTION=VALUE"),
        (":ttl=3", "is not OPTION=VALUE"),
        ("ttl=abc", "ttl: 'abc' is not a number"),
        ("ttl=", "ttl: has no value"),
        ("ttl=[", "--set ttl=[: is not YAML"),
        ("ttl={a: 1}", "ttl: {'a': 1} is not a number"),
        ("tll=15", "tll: is not a known option"),
        ("postgresql.use_pg_rewnd=on", "did you mean use_pg_rewind?"),
        (
            "synchronous_mode=maybe",
            "synchronous_mode: 'maybe' is not one of the values",
        ),
        ("tags.nofailover=perhaps", "tags.nofailover: 'perhaps' is not a boolean"),
        ("maximum_lag_on_failover=-1", "maximum_lag_on_failover: -1 is less than 0"),
        ("name=pg9", "name: says who a member is"),
    ],
)
def test_a_bad_change_is_refused_with_the_option_named(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parsed_change(text)
    assert named in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("ttl=40", {"ttl": 40}),
        ("synchronous_mode=true", {"synchronous_mode": "on"}),
        ("maximum_lag_on_failover=16kB", {"maximum_lag_on_failover": 16384}),
        ("master_start_timeout=0", {"primary_start_timeout": 0}),
        ("pause=on", {"paused": True}),
        ("incident_policy.crash_loop_limit=3", {"crash_loop_limit": 3}),
        ("fencing.margin=2", {"lease_margin": 2.0}),
        ("watchdog.mode=off", {"watchdog_mode": "off"}),
        ("pg1:postgresql.use_pg_rewind=false", {"use_pg_rewind": False}),
        ("pg2:ttl=40", {}),
    ],
)
def test_nothing_else_than_what_is_set_becomes_another(
    text: str, changed: dict[str, object]
) -> None:
    settings, warnings = applied(text)
    assert settings == SETTINGS.model_copy(update=changed)
    assert warnings == ()


def test_timers_are_corrected_as_the_daemon_does() -> None:
    settings, warnings = applied("ttl=15")
    assert (settings.ttl, settings.loop_wait, settings.retry_timeout) == (20, 1, 9)
    assert warnings[0] == "ttl 15 is less than 20: 20 is used"


def test_tags_of_one_member_are_set_and_published() -> None:
    settings, _ = applied("pg1:tags.nofailover=true")
    assert not settings.tags.may_lead
    assert json.loads(settings.tags.document) == {"nofailover": True}


def test_what_an_older_version_made_of_the_document_stays() -> None:
    """Only what the change makes another counts: what was recorded was in force."""
    older = SETTINGS.model_copy(update={"lease_margin": 7.0})
    changes = Changes((parsed_change("ttl=40"),))
    configuration, _ = changes.applied("pg1", recorded(older))
    assert configuration.settings.lease_margin == 7.0
    assert configuration.settings.ttl == 40


def test_a_journal_without_its_configuration_is_told() -> None:
    bare = recorded().model_copy(update={"document": "{}"})
    with pytest.raises(ConfigurationError, match="does not hold the configuration"):
        Changes((parsed_change("ttl=40"),)).applied("pg1", bare)


def test_an_actors_state_takes_other_settings_wherever_they_are() -> None:
    from regnal.actors.rest import REST  # noqa: PLC0415

    other = SETTINGS.model_copy(update={"ttl": 40})
    state = with_settings(REST.initial("pg1"), SETTINGS, other)
    assert state == REST.initial("pg1")
    own = with_settings(state.own, None, SETTINGS)  # type: ignore[arg-type]
    assert with_settings(own, SETTINGS, other).settings == other
