"""Rules without accounts: a policy, and principals that the host describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from . import _rolekeep
from ._ask import Asker
from ._codec import EMPTY, encode
from .records import AssignedRole

if TYPE_CHECKING:
    from typing_extensions import Self


class Rules(_rolekeep.Rules):
    """A compiled policy that decides about users of the application's own: no store, no accounts, no I/O.

    `rules = Rules(policy_toml=text)`, then `ada = rules.principal("ada", roles=["author"])` and
    `ada.can("document:edit", {"type": "document", …})`. Usable from every thread.
    """

    def __new__(
        cls,
        *,
        preset: str | None = None,
        policy_toml: str | None = None,
        policy_json: str | None = None,
        roles: Mapping[str, Sequence[str]] = EMPTY,
        permissions: Sequence[str] = (),
        library_types: bool | None = None,
    ) -> Self:
        """Compiles a policy: one of a preset, a file's text, or roles and permissions.

        Args:
            preset: A policy that comes with the library: `standard` or `flyos`.
            policy_toml: A policy file's text, in TOML.
            policy_json: A policy file's text, in JSON.
            roles: Roles and what they allow, instead of a policy file: `{"editor": ["document:edit"]}`.
            permissions: Permissions that exist beside those that a role allows.
            library_types: Whether there are the resource types and permissions of the library's own operations, so that
                the policy of a store decides as it does there; if not given, for a preset alone. Otherwise there is
                what the policy declares.

        Raises:
            ValidationError: The policy has problems, each in `problems` with line and column; none is given, or several.
        """
        policy = {"preset": preset, "policy_toml": policy_toml, "policy_json": policy_json}
        given = {**policy, "roles": roles, "permissions": permissions, "library_types": library_types}
        return super().__new__(cls, encode(given))

    def principal(
        self,
        id: UUID | str | int,
        *,
        roles: Sequence[str | AssignedRole] = (),
        groups: Mapping[str, Sequence[str | AssignedRole]] = EMPTY,
        attributes: Mapping[str, Any] = EMPTY,
        status: str = "active",
        verified: bool = True,
        second_factor: bool = False,
    ) -> Principal:
        """A principal, validated against the policy. Keep it for as long as its description stays the same.

        Args:
            id: What conditions read as `principal.id`: a UUID, unless the policy declares another type for the attribute
                `id` of the type `user`.
            roles: The roles that they hold themselves; of one that is held everywhere and always, the name alone.
            groups: The roles of their groups, by the group's name.
            attributes: What conditions read as `principal.NAME`, declared by the policy for the type `user`.
            status: Whoever is not `active` may do nothing, and explanations name it.
            verified: `principal.verified`.
            second_factor: Whether they have proved a second factor: roles that need one allow nothing without.

        Raises:
            ValidationError: Names every wrong field: roles and kinds of scope that the policy does not have, attributes
                that it does not declare or that have another type, and missing attributes that it reads.
        """
        whom = {"id": id, "roles": roles, "groups": groups, "attributes": attributes}
        proved = {"status": status, "verified": verified, "second_factor": second_factor}
        return Principal(self._principal(encode({**whom, **proved})))

    def anonymous(self) -> Principal:
        """The principal of somebody who is not signed in. It holds the policy's `anonymous` role, if there is one."""
        return Principal(self._anonymous())


class Principal(Asker, _rolekeep.Principal):
    """A principal and the rules that decide about it, with the questions of a `Caller`. Made by `Rules.principal`."""

    def with_context(self, values: Mapping[str, Any]) -> Principal:
        """The same principal with these values, which conditions read as `context.NAME`; values that are not given
        stay as they are."""
        return Principal(self._with_context(encode(values)))
