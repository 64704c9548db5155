"""The behaviour that every language shares, through both faces."""

import asyncio
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from player import REPOSITORY, Player, Scenario, matches, scenarios

SHARED = scenarios(REPOSITORY / "tests/conformance/scenarios")
OWN = scenarios(Path(__file__).parent / "scenarios")
COLUMNS: dict[str, str | None] = {"python": None}
"""Where the shared ones are played: each with the URL of its database, if it has one."""
if url := os.environ.get("ROLEKEEP_POSTGRES"):
    COLUMNS["python-postgres"] = url


def named(scenario: Scenario) -> str:
    return scenario.name


@pytest.fixture(scope="module")
def report():
    outcomes: dict[str, dict] = {}
    yield lambda column: outcomes.setdefault(column, {"column": column, "passed": [], "failed": []})
    folder = REPOSITORY / "target/conformance"
    folder.mkdir(parents=True, exist_ok=True)
    for column, outcome in outcomes.items():
        (folder / f"{column}.json").write_text(json.dumps(outcome, indent=1))


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    """For those who look for secrets in it."""
    caplog.set_level(logging.DEBUG, "rolekeep")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("scenario", SHARED, ids=named)
def test_shared(scenario, column, report, tmp_path):
    (tmp_path / "async").mkdir()
    place = COLUMNS[column]
    # The second one on a storage written in Python; in a database it alone, as both faces call the same.
    faces = [Player(scenario, tmp_path / "async", True, place, persists=place is None)]
    if place is None:
        faces.append(Player(scenario, tmp_path, False, place))
    try:
        # At once, as some wait for seconds.
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda player: asyncio.run(player.play()), faces))
    except BaseException:
        report(column)["failed"].append(scenario.name)
        raise
    report(column)["passed"].append(scenario.name)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("scenario", OWN, ids=named)
def test_own(scenario, is_async, tmp_path):
    asyncio.run(Player(scenario, tmp_path, is_async).play())


def test_the_player_sees_what_is_wrong(tmp_path):
    bad_steps = [
        {"can": "user:read", "expect": False},
        {"can": "user:raed"},
        {"call": "users.create", "with": {"email": "x"}},
        {"call": "users.create", "with": {"email": "x"}, "error": {"code": "FORBIDDEN"}},
        {"call": "users.create", "with": {"email": "x"}, "error": {"fields": []}},
        {"call": "users.list", "error": {"code": "FORBIDDEN"}},
        {"call": "users.list", "expect": {"items": [{}]}},
        {"call": "users.list", "expect": {"itemz": []}},
    ]
    for step in bad_steps:
        with pytest.raises(AssertionError):
            asyncio.run(Player(Scenario("bad", {}, [step]), tmp_path, is_async=False).play())


def test_matching():
    assert matches({"a": "2026-01-01T00:00:00Z"}, {"a": "2026-01-01T01:00:00.000+01:00", "b": 1})
    assert matches({"$unordered": [1, 2]}, [2, 1]) and not matches({"$unordered": [1, 1]}, [2, 1])
    assert matches({"$not": {"$any": True}}, None) and not matches(1, True) and not matches([1], [1, 2])
