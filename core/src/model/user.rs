//! An account.

use jiff::civil::Date;
use rolekeep_macros::{Describe, Word};

use super::{
    attributes::Attributes,
    id::{RegionId, UserId},
    record::Record,
    region::Region,
    standing::{Beneath, Standing},
    time::Time,
};

/// An account: a person or service that can sign in and hold roles. Its secrets are kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "users", key(id), index(created_at), index(region_id, created_at), index(region_id, status), index(status, created_at), index(status, email_verified, created_at), sync = replicated)]
#[record(events(kind = "user", readers = rows, by = user))]
#[record(resource = "user", along = judged, audit(area = "users", kind = "user", words(create, update, delete)))]
#[record(named(id))]
#[record(permissions(
    create = "Create users",
    read = "Get a user",
    list = "List users",
    update = "Change a user's data",
    read_profile = "See the profiles of users, as their visibility allows",
    read_any_profile = "See the profiles of users, whatever their visibility and status",
    update_profile = "Change one's own profile",
    delete = "Delete users",
    restore = "List deleted users, and restore them",
    purge = "Remove deleted users for good",
    erase = "Remove users for good, and what the audit log says of them",
    export = "Export all that is held about a user",
    import = "Import users from files of other systems",
    invite = "Invite users by mail",
    set_password = "Set temporary passwords",
    impersonate = "Act as another user for a time",
    reset_factors = "Remove the second factors of users who have lost them",
    set_status = "Activate, deactivate, suspend, ban and lift",
    set_admin = "Make and unmake administrators"
))]
#[record(owner(field = region_id, of = Region, on_delete = clear), caches(user = id, authority = id), retention = kept)]
#[record(
    sorted(email, username, last_name),
    index(email_key),
    index(username_key),
    index(last_name_key),
    index(deleted_at),
    index(email_verified, created_at)
)]
#[record(search(username, email, full_name, display_name, first_name, last_name))]
pub struct User {
    /// The account's id.
    #[record(given)]
    pub id: UserId,
    /// The name that the user signs in with, if there is one; unique, whatever the case.
    pub username: Option<String>,
    /// The address that the user signs in with, if there is one; unique, whatever the case.
    pub email: Option<String>,
    /// Whether the address is verified.
    #[record(given)]
    pub email_verified: bool,
    /// The whole name.
    pub full_name: Option<String>,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The phone number in E.164.
    pub phone: Option<String>,
    /// The date of birth.
    pub birth_date: Option<Date>,
    /// A short biography.
    pub bio: Option<String>,
    /// Where the user is, in their own words.
    pub location: Option<String>,
    /// The address of the user's picture.
    pub avatar_url: Option<String>,
    /// The address of the user's web page.
    pub website: Option<String>,
    /// Which other users see the user's profile.
    pub visibility: Visibility,
    /// What no column holds; null where there is none.
    pub attributes: Option<Attributes>,
    /// The region that the user belongs to.
    pub region_id: Option<RegionId>,
    /// Whether it may sign in.
    pub status: UserStatus,
    /// Why the user is suspended or banned.
    pub status_reason: Option<String>,
    /// When a suspension ends; null: when it is lifted.
    pub suspended_until: Option<Time>,
    /// When it was created.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// When it was deleted.
    #[record(gone)]
    pub deleted_at: Option<Time>,
    /// What is so of it again when its status ends: of a deleted account all that was before, of a banned or suspended one what
    /// lies beneath; and why it is suspended, where it is banned, too. Null where that is nothing.
    #[record(kept)]
    pub status_before: Option<Beneath>,
    /// Increases by one with every change; pass it as `expected_version` to detect lost updates.
    pub version: i64,
}

/// Which other users see a profile, among those who may see profiles at all (`user:read_profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum Visibility {
    /// All of them.
    #[default]
    Public,
    /// Followers; others see a card with names and picture.
    Followers,
    /// None.
    Private,
}

/// Whether an account may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum UserStatus {
    /// May sign in.
    Active,
    /// Deactivated.
    Inactive,
    /// Suspended, for a limited time or until it is lifted.
    Suspended,
    /// Banned.
    Banned,
    /// Deleted; it can be restored until it is purged.
    Deleted,
}

impl User {
    /// What it signs in by, as authenticators show it; where it has no name, its id.
    pub fn sign_in_name(&self) -> String {
        let name = self.email.as_ref().or(self.username.as_ref());
        name.cloned().unwrap_or_else(|| self.id.to_string())
    }

    /// What is so of it at a moment: a suspension that has run out counts no more. Of one that is deleted, what was before.
    pub fn standing(&self, now: Time) -> Standing {
        let standing = self.stored_standing();
        let has_ended = self.suspended_until.is_some_and(|until| until <= now);
        Standing { is_suspended: standing.is_suspended && !has_ended, ..standing }
    }

    fn stored_standing(&self) -> Standing {
        let beneath = self.status_before.as_ref().map(|beneath| beneath.standing);
        match self.status {
            UserStatus::Active => Standing::default(),
            UserStatus::Inactive => Standing::OFF,
            UserStatus::Suspended => Standing { is_suspended: true, ..beneath.unwrap_or_default() },
            UserStatus::Banned => Standing { is_banned: true, ..beneath.unwrap_or_default() },
            // Of before this was noted nothing is known.
            UserStatus::Deleted => beneath.unwrap_or(Standing::OFF),
        }
    }

    /// Why it is banned, and why it is suspended.
    fn reasons(&self) -> (Option<String>, Option<String>) {
        let standing = self.stored_standing();
        let beneath = || self.status_before.as_ref().and_then(|beneath| beneath.suspended_for.clone());
        match (standing.is_banned, standing.is_suspended) {
            (true, _) => (self.status_reason.clone(), beneath()),
            (false, true) => (None, self.status_reason.clone()),
            (false, false) => (None, None),
        }
    }

    /// The account of which this is so; what is so of it already is so for its reason and until its end.
    #[must_use]
    pub fn stands(self, standing: Standing) -> Self {
        let (banned_for, suspended_for) = self.reasons();
        let suspended_for = suspended_for.filter(|_| standing.is_suspended);
        let suspended_until = self.suspended_until.filter(|_| standing.is_suspended);
        let (status_reason, beneath_for) = match standing.is_banned {
            true => (banned_for, suspended_for),
            false => (suspended_for, None),
        };
        let status_before =
            standing.beneath().map(|standing| Beneath { standing, suspended_for: beneath_for, had_other_roles: false });
        Self { status: standing.status(), status_before, status_reason, suspended_until, ..self }
    }

    /// The account once it is deleted: what was so of it is kept, for when it is restored.
    #[must_use]
    pub fn stands_deleted(self, now: Time, had_other_roles: bool) -> Self {
        let standing = self.standing(now);
        let (_, suspended_for) = self.reasons();
        let suspended_for = suspended_for.filter(|_| standing.is_banned && standing.is_suspended);
        let status_before = Some(Beneath { standing, suspended_for, had_other_roles });
        Self { status: UserStatus::Deleted, status_before, deleted_at: Some(now), ..self }
    }

    /// Its status at a moment.
    pub fn status_at(&self, now: Time) -> UserStatus {
        match self.status {
            UserStatus::Deleted => UserStatus::Deleted,
            UserStatus::Active | UserStatus::Inactive | UserStatus::Suspended | UserStatus::Banned => {
                self.standing(now).status()
            }
        }
    }

    /// The account as it is shown at a moment: without a suspension that has run out, or lies beneath a ban.
    #[must_use]
    pub fn shown_at(self, now: Time) -> Self {
        if self.status == UserStatus::Deleted {
            return self;
        }
        let standing = self.standing(now);
        let shown = self.stands(standing);
        Self { suspended_until: shown.suspended_until.filter(|_| shown.status == UserStatus::Suspended), ..shown }
    }

    /// Whether it may sign in now; a suspension that has run out counts no more.
    pub fn is_active(&self, now: Time) -> bool {
        self.status_at(now) == UserStatus::Active
    }
}

/// What moves when an account is used: made with it, so that signing in changes nothing of the account itself.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "user_activity", key(user_id), index(last_login_at), sync = replicated, resource = none)]
#[record(events = none("sessions tell of themselves"))]
#[record(audit = none("sign-ins tell of themselves"), caches = none, retention = kept)]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade))]
pub struct UserActivity {
    /// The account.
    pub user_id: UserId,
    /// When it last signed in; [`Time::UNIX_EPOCH`] for never, so that lists are sorted by it without nulls.
    pub last_login_at: Time,
    /// The row's version.
    pub version: i64,
}

impl UserActivity {
    /// Of an account that never signed in.
    pub fn none(user_id: UserId) -> Self {
        Self { user_id, last_login_at: Time::UNIX_EPOCH, version: 0 }
    }

    /// When it last signed in.
    pub fn last_login(&self) -> Option<Time> {
        Some(self.last_login_at).filter(|at| *at != Time::UNIX_EPOCH)
    }
}
