"""What people write into files, variables and the store's configuration: used, or
refused with errors that each name the option, the reason and the remedy.

What was in force stays in force until then.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.bridges.dcs.open import open_store
from regnal.cli.ctl_editing import parse_document, set_values
from regnal.cli.ctl_times import parse_scheduled
from regnal.cli.dcs_url import parse_dcs_url
from regnal.configuration.environment import VARIABLES
from regnal.configuration.kinds import Items, Node, Option, Section
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema import DYNAMIC, LOCAL
from regnal.configuration.source import ConfigurationSource, Effective
from regnal.runtime.options import (
    ctl_options,
    dcs_options,
    journal_options,
    postgres_options,
    rest_options,
)
from regnal.runtime.outgoing_options import (
    nats_options,
    otel_options,
    webhook_options,
)
from tests.fuzzing import hostile
from tests.fuzzing.hostile import NUMBERS, TEXTS, VALUES, answer_or, damaged, many, some
from tests.regnal.configuration.builders import MINIMAL, laid_over

LIKELY = st.sampled_from(
    [
        *("5", "10s", "1.5h", "-3", "16kB", "on", "off", "0755", "a,b", "host:1"),
        *("[::1]:5432", "*:8008", "127.0.0.1", "%(message)s", "required", "quorum"),
    ]
)


def written_for(node: Node, depth: int = 0) -> st.SearchStrategy[Any]:
    """Something for this place of the schema, mostly of the right shape."""
    match node:
        case Section() if depth < 4:
            places = {**node.entries, **({"zzz": node.others} if node.others else {})}
            if not places:
                return VALUES

            def inside(chosen: list[str]) -> st.SearchStrategy[Any]:
                return st.fixed_dictionaries(
                    {name: written_for(places[name], depth + 1) for name in chosen}
                )

            names = sorted(places)
            some_names = st.lists(st.sampled_from(names), max_size=3, unique=True)
            return some_names.flatmap(inside)
        case Items():
            return st.lists(written_for(node.item, depth + 1), max_size=2) | LIKELY
        case Option(default=default):
            return st.one_of(LIKELY, NUMBERS, TEXTS, st.just(default), VALUES)
        case _:
            return VALUES


LOCALS, DYNAMICS = written_for(LOCAL), written_for(DYNAMIC)


def name_every_problem(error: ConfigurationError) -> None:
    for problem in error.problems:
        assert problem.path.strip()
        assert problem.reason.strip()
        assert problem.remedy.strip()
        assert "\n" not in str(problem)


def use(effective: Effective) -> None:
    """What is accepted can be used: every part gets its options of it."""
    json.loads(effective.masked)
    settings = effective.settings
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    for options in (postgres_options, rest_options, ctl_options, journal_options):
        options(effective)
    for goes_out in (nats_options, webhook_options, otel_options):
        goes_out(effective)
    store = dcs_options(effective)
    if store.section == "etcd3":
        opened = answer_or(
            StoreMisconfigured,
            lambda: open_store(
                store.section,
                store.options,
                namespace=store.namespace,
                scope=store.scope,
                member=settings.name,
                ttl=settings.ttl,
            ),
        )
        if opened is not None:
            opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration")


def refused_or_used(source: ConfigurationSource, load: Any) -> bool:
    try:
        effective = load()
    except ConfigurationError as error:
        name_every_problem(error)
        return False
    use(effective)
    return True


@many
@given(LOCALS, st.booleans())
def test_any_file_is_used_or_each_of_its_problems_is_named(
    folder: Path, written: dict[str, Any], torn: bool
) -> None:
    """CFG-13, law 8: at the start, and where a daemon runs already."""
    file = folder / "regnal.yml"
    file.write_text(json.dumps(MINIMAL))
    running = ConfigurationSource(file, {})
    before = running.load()
    whole = json.loads(json.dumps(MINIMAL))
    text = json.dumps(laid_over(whole, written) if not torn else written)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    fresh = ConfigurationSource(file, {})
    refused_or_used(fresh, fresh.load)
    if not refused_or_used(running, running.reload):
        file.write_text(json.dumps(MINIMAL))
        assert running.reload().settings == before.settings


YAML = LOCALS.map(lambda document: yaml.safe_dump(document, allow_unicode=True))


@many
@given(YAML.flatmap(damaged) | TEXTS)
def test_any_torn_yaml_is_used_or_refused(folder: Path, text: str) -> None:
    file = folder / "torn.yml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    source = ConfigurationSource(file, {})
    refused_or_used(source, source.load)


@many
@given(DYNAMICS, st.sampled_from(["", "{", "]"]))
def test_any_dynamic_configuration_is_used_or_changes_nothing(
    folder: Path, written: dict[str, Any], tail: str
) -> None:
    file = folder / "dynamic.yml"
    file.write_text(json.dumps(MINIMAL))
    source = ConfigurationSource(file, {})
    before = source.load()
    text = json.dumps(written) + tail
    if not refused_or_used(source, lambda: source.with_dynamic(text)):
        assert source.reload().settings == before.settings


SET = {name: TEXTS | LIKELY | NUMBERS.map(str) for name in VARIABLES}


@many
@given(
    st.dictionaries(
        st.sampled_from([*SET, "PATRONI_admin_PASSWORD", "PATRONI_x_OPTIONS"]),
        TEXTS | LIKELY | NUMBERS.map(str),
        max_size=5,
    ),
    st.none() | YAML,
)
def test_any_environment_is_used_or_each_variable_is_named(
    folder: Path, environ: dict[str, str], whole: str | None
) -> None:
    """CFG-03: and its variables reach no program that is started."""
    file = folder / "environment.yml"
    file.write_text(json.dumps(MINIMAL))
    source = ConfigurationSource(file, environ)
    refused_or_used(source, source.load)
    assert not set(environ) & set(VARIABLES)
    if whole is not None:
        alone = {"PATRONI_CONFIGURATION": whole}
        source = ConfigurationSource(None, alone)
        refused_or_used(source, source.load)


@some
@given(TEXTS | LIKELY, TEXTS, VALUES)
def test_what_people_type_into_the_control_tool(
    text: str, other: str, value: Any
) -> None:
    """One sentence for what cannot be meant."""
    refusal = click.ClickException
    answer_or = partial(hostile.answer_or, on_terminal=True)
    answer_or(refusal, lambda: parse_scheduled(text))
    answer_or((refusal, ValueError), lambda: parse_dcs_url(text))
    answer_or(refusal, lambda: parse_document(text, "file"))
    answer_or(refusal, lambda: set_values({}, (f"{other}={text}",), (text,)))
    for setting in ("a.b=2030-13-45", "a=!!x", "a=? [b]\n: c", "a=" + "[" * 500):
        answer_or(refusal, partial(set_values, {"a": value}, (setting,), ()))
