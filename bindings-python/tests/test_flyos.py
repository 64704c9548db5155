"""The main job of FlyOS, in Python."""

from datetime import datetime

import pytest
import rolekeep
from conftest import CHEAP
from player import SEED, password, typed
from rolekeep import Conflict, DroneModel, Forbidden, NotFound, Unauthorized, UserStatus, ValidationError

EVERYTHING = {
    "main": (["east_commander", "main_admin", "operator1", "operator2", "west_commander"], ["east", "west"], [1, 2, 3, 4, 5]),
    "east": (["east_commander", "operator1"], ["east"], [1, 3]),
    "west": (["operator2", "west_commander"], ["west"], [2, 4]),
    "operator1": (None, ["east"], [1, 5]),
    "operator2": (None, ["west"], [2]),
}


def drones(me):
    return sorted(int(drone.code.removeprefix("drone-")) for drone in me.drones.list().items)


def test_main_job(tmp_path):
    settings = {"sqlite": tmp_path / "flyos.db", "preset": "flyos", **CHEAP}
    given = SEED | {"passwords": {user["email"]: password(user["email"]) for user in SEED["users"]}}
    with rolekeep.open(**settings) as um:
        seeded = typed(um.system.setup.seed, given)
        assert (seeded.users_created, seeded.regions_created, seeded.drones_created) == (5, 2, 5)
        caller = {name: um.authenticate(um.login(f"{name}@flyos.mil", password(name)).done().access_token) for name in EVERYTHING}
        ids = {name: me.users.me().id for name, me in caller.items()}
        for name, (users, regions, numbers) in EVERYTHING.items():
            me = caller[name]
            if users is None:
                with pytest.raises(Forbidden):
                    me.users.list()
            else:
                assert sorted(user.username for user in me.users.list().items) == users
            assert sorted(region.code for region in me.regions.list().items) == regions
            assert drones(me) == numbers
        east = caller["main"].regions.get("east")
        assert (east.user_count, east.drone_count, east.commander_name) == (2, 2, "Col. Sarah Mitchell")

        refusals = [
            (Conflict, lambda: caller["main"].users.suspend(ids["main"])),
            (ValidationError, lambda: caller["main"].drones.assign("drone-001", ids["operator2"])),
            (Forbidden, lambda: caller["east"].drones.create("drone-006", DroneModel.FLYOS_MQ5)),
            (NotFound, lambda: caller["west"].drones.get("drone-001")),
            (NotFound, lambda: caller["operator2"].drones.get("drone-003")),
        ]
        for kind, refused in refusals:
            with pytest.raises(kind) as caught:
                refused()
            assert isinstance(caught.value.timestamp, datetime)
        why = um.system.permissions.explain(ids["west"], "drone:read", resource="drone-001")
        assert not why.allowed and why.text.startswith("drone:read is denied")

        moved = caller["main"].drones.reassign("drone-005", ids["operator2"])
        assert moved.operator.username == "operator2"
        assert (drones(caller["operator1"]), drones(caller["operator2"])) == ([1], [2, 5])
        caller["main"].users.suspend(ids["operator1"], reason="an inquiry")
        with pytest.raises(Unauthorized):
            caller["operator1"].users.me()
        assert um.system.audit.verify().is_whole

    with rolekeep.open(**settings) as um:
        again = typed(um.system.setup.seed, given)
        assert (again.users_created, again.regions_created, again.drones_created) == (0, 0, 0)
        with pytest.raises(Unauthorized):
            um.login("operator1@flyos.mil", password("operator1"))
        east = um.acting_as(ids["east"])
        assert {user.username: user.status for user in east.users.list().items}["operator1"] is UserStatus.SUSPENDED
        main = um.acting_as(ids["main"])
        assert (main.users.list().total, main.regions.list().total, main.drones.list().total) == (5, 2, 5)
        assert main.audit.verify().is_whole
