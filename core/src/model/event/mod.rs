//! Events: what a commit changed, as others are told of it (decision 057).

pub mod derive;

use rolekeep_macros::{Describe, Word};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{
    noun::{Events, Types, Upkeep},
    record::{Key, Row, Table},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum EventType {
    /// An account was created.
    #[word("user.created")]
    UserCreated,
    /// Data of an account was changed; `changed` has the names of the fields.
    #[word("user.updated")]
    UserUpdated,
    /// The address of an account was verified.
    #[word("user.verified")]
    UserVerified,
    /// An inactive account was activated.
    #[word("user.activated")]
    UserActivated,
    /// An account was deactivated.
    #[word("user.deactivated")]
    UserDeactivated,
    /// An account was suspended.
    #[word("user.suspended")]
    UserSuspended,
    /// An account was banned.
    #[word("user.banned")]
    UserBanned,
    /// A suspension or a ban was lifted.
    #[word("user.lifted")]
    UserLifted,
    /// An account was deleted; it can be restored.
    #[word("user.deleted")]
    UserDeleted,
    /// A deleted account was restored.
    #[word("user.restored")]
    UserRestored,
    /// An account was removed for good.
    #[word("user.purged")]
    UserPurged,
    /// The erasure of a user from the audit log began.
    #[word("user.erased")]
    UserErased,
    /// A profile was changed; `changed` has the names of the fields.
    #[word("profile.updated")]
    ProfileUpdated,
    /// The visibility of a profile was changed.
    #[word("profile.visibility_changed")]
    ProfileVisibilityChanged,
    /// A credential of an account was set, changed or removed; `what` says which: `password`, `totp`, `passkey`, `api_key` or
    /// `identity`.
    #[word("credential.changed")]
    CredentialChanged,
    /// A session began.
    #[word("session.started")]
    SessionStarted,
    /// A session ended, before it expired or because its account was removed.
    #[word("session.ended")]
    SessionEnded,
    /// A refresh token was used a second time, so that its session was ended (RFC 9700, 4.14.2).
    #[word("session.reuse_detected")]
    SessionReuseDetected,
    /// A sign-in to an account failed, because of wrong credentials or because the account may not sign in. `by` says with what:
    /// `password`, `totp` (or a recovery code), `passkey` or `mail`. Repeated failures with passwords and codes cause at most one event a
    /// minute; the audit log has each of them, and why.
    #[word("login.failed")]
    LoginFailed,
    /// A role was assigned to a user, or the assignment was changed.
    #[word("role.assigned")]
    RoleAssigned,
    /// A role was removed from a user.
    #[word("role.unassigned")]
    RoleUnassigned,
    /// A role was added to the policy.
    #[word("role.created")]
    RoleCreated,
    /// A role of the policy was changed.
    #[word("role.updated")]
    RoleUpdated,
    /// A role was removed from the policy.
    #[word("role.deleted")]
    RoleDeleted,
    /// A permission was declared.
    #[word("permission.created")]
    PermissionCreated,
    /// The description of a permission was changed.
    #[word("permission.updated")]
    PermissionUpdated,
    /// A permission was removed.
    #[word("permission.deleted")]
    PermissionDeleted,
    /// A kind of assets was declared.
    #[word("asset_kind.created")]
    AssetKindCreated,
    /// The models or statuses of a kind of assets were changed.
    #[word("asset_kind.updated")]
    AssetKindUpdated,
    /// A kind of assets was removed.
    #[word("asset_kind.deleted")]
    AssetKindDeleted,
    /// The policy has another version.
    #[word("policy.changed")]
    PolicyChanged,
    /// A group was created.
    #[word("group.created")]
    GroupCreated,
    /// A group, its members or its roles were changed.
    #[word("group.updated")]
    GroupUpdated,
    /// A group was deleted.
    #[word("group.deleted")]
    GroupDeleted,
    /// A user became a member of a group.
    #[word("group.member_added")]
    GroupMemberAdded,
    /// A user is no longer a member of a group.
    #[word("group.member_removed")]
    GroupMemberRemoved,
    /// A role was assigned to a group, or the assignment was changed.
    #[word("group.role_assigned")]
    GroupRoleAssigned,
    /// A role was removed from a group.
    #[word("group.role_unassigned")]
    GroupRoleUnassigned,
    /// A region was created.
    #[word("region.created")]
    RegionCreated,
    /// A region was changed.
    #[word("region.updated")]
    RegionUpdated,
    /// A region was deleted.
    #[word("region.deleted")]
    RegionDeleted,
    /// A scope of a nested kind was created.
    #[word("scope.created")]
    ScopeCreated,
    /// A scope was renamed or moved.
    #[word("scope.updated")]
    ScopeUpdated,
    /// A scope was deleted.
    #[word("scope.deleted")]
    ScopeDeleted,
    /// A drone was created.
    #[word("drone.created")]
    DroneCreated,
    /// A drone was changed.
    #[word("drone.updated")]
    DroneUpdated,
    /// A drone was deleted.
    #[word("drone.deleted")]
    DroneDeleted,
    /// A drone was assigned to a user.
    #[word("drone.assigned")]
    DroneAssigned,
    /// A drone was removed from a user.
    #[word("drone.unassigned")]
    DroneUnassigned,
    /// An asset was created.
    #[word("asset.created")]
    AssetCreated,
    /// An asset was changed.
    #[word("asset.updated")]
    AssetUpdated,
    /// An asset was deleted.
    #[word("asset.deleted")]
    AssetDeleted,
    /// An asset was assigned to a user.
    #[word("asset.assigned")]
    AssetAssigned,
    /// An asset was removed from a user.
    #[word("asset.unassigned")]
    AssetUnassigned,
    /// Somebody was invited.
    #[word("invitation.created")]
    InvitationCreated,
    /// An invitation was accepted, or ended before it expired.
    #[word("invitation.ended")]
    InvitationEnded,
    /// A consumer of events has not acknowledged what is 15 days old. After 30 days it is lost to it.
    #[word("consumer.lagging")]
    ConsumerLagging,
}

/// Who hears of what happens to a row, beside the application itself and administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Who may read the row, or where the rules are not about it, each row that it belongs to.
    Rows,
    /// The user that it belongs to.
    Own,
    /// Who may read the policy.
    Policy,
}

/// An event as the change feed keeps it. It has ids, states and times, but no names, addresses or texts, so that what is erased is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// What happened. Text, as a newer library may know more.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The row's table.
    pub table: String,
    /// The row's key.
    pub key: Key,
    /// The row's version, after the change.
    pub version: i64,
    /// The operation that did it.
    pub cause: String,
    /// Who asked for it: a user's id, or `system`.
    pub actor: String,
    /// The columns that were changed, of a row that stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The facts of the row, and what else the event says.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Json>,
}

/// A row as it was and is: none where it was not there, or is gone.
#[derive(Clone, Copy)]
pub struct RowChange<'r> {
    /// The row's table.
    pub table: &'static Table,
    /// Before.
    pub before: Option<&'r Row>,
    /// After.
    pub after: Option<&'r Row>,
}

impl RowChange<'_> {
    /// Whether a column differs that is more than the library's own record of changes.
    fn changed(&self) -> impl Iterator<Item = &'static str> {
        let of_both = self.before.zip(self.after);
        let columns = self.table.columns.iter().enumerate();
        columns.filter_map(move |(at, column)| {
            let (before, after) = of_both?;
            let is_told = at != self.table.version && column.upkeep != Upkeep::Kept && !column.secret;
            (is_told && before.0[at] != after.0[at]).then_some(column.name)
        })
    }

    /// What is no personal data of the row, without its version.
    fn facts(&self) -> Map<String, Json> {
        let Some(row) = self.after.or(self.before) else { return Map::new() };
        let columns = self.table.columns.iter().zip(&row.0).enumerate();
        let told = columns.filter(|(at, (column, value))| {
            *at != self.table.version && column.is_fact() && !column.secret && !value.is_null()
        });
        told.map(|(_, (column, value))| (column.name.to_owned(), value.to_json())).collect()
    }

    /// What others are told that happened to a row which stays as it is.
    pub fn event_of_unchanged(
        &self,
        event: EventType,
        data: Map<String, Json>,
        cause: &str,
        actor: &str,
    ) -> Option<StoredEvent> {
        self.stored(event, Vec::new(), data, cause, actor)
    }

    fn stored(
        &self,
        event: EventType,
        changed: Vec<String>,
        more: Map<String, Json>,
        cause: &str,
        actor: &str,
    ) -> Option<StoredEvent> {
        let row = self.after.or(self.before)?;
        let mut data = self.facts();
        data.extend(more);
        Some(StoredEvent {
            event_type: event.as_str().to_owned(),
            table: self.table.name.to_owned(),
            key: self.table.key_of(row),
            // What goes has a version of its own, too: it comes after all others.
            version: self.table.version_of(row) + i64::from(self.after.is_none()),
            cause: cause.to_owned(),
            actor: actor.to_owned(),
            changed,
            data,
        })
    }

    /// What others are told of it, as the record declares it.
    pub fn events(&self, cause: &str, actor: &str) -> Vec<StoredEvent> {
        let Events::Published(told) = &self.table.noun.events else { return Vec::new() };
        let changed: Vec<&'static str> = self.changed().collect();
        let stored = |event, changed, more| self.stored(event, changed, more, cause, actor);
        match &told.types {
            Types::Each(types) => {
                let at = match (self.before, self.after) {
                    (None, _) => 0,
                    // Nothing changed but what the library keeps for itself.
                    (Some(_), Some(_)) if changed.is_empty() => return Vec::new(),
                    (Some(_), Some(_)) => 1,
                    (Some(_), None) => 2,
                };
                let changed = changed.into_iter().map(str::to_owned).collect();
                types[at].and_then(|event| stored(event, changed, Map::new())).into_iter().collect()
            }
            Types::By(derive) => {
                let derived = derive.find(self.before, self.after, &changed);
                derived.into_iter().filter_map(|one| stored(one.event, one.changed, one.data)).collect()
            }
        }
    }
}
