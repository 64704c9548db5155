//! Changing an account's data (USR-5).

use std::collections::BTreeMap;

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    DroppedAssets, UserView,
    create::{CreateUser, Fields},
    existing_to_show, region_named, shown,
};
use crate::{
    model::{
        check::{Checks, wrong},
        decode::FieldCode,
        deferred::unless_page,
        error::{Error, Reason, Result},
        id::UserId,
        identity::Identity,
        names,
        notice::NoticeKind,
        patch::{Change, Patch},
        record::ResourceRecord,
        registry::Claim,
        session::SessionEnd,
        text,
        time::Time,
        user::{User, Visibility},
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators, attributes, email,
        epochs::{self, ApiKeyFate, Password},
        fleet,
        limits::{Tries, Try},
        notices,
        plan::{Plan, expect_version},
        profiles::ProfileChange,
        reads::Reads,
        rights,
        services::Services,
    },
};

/// An account as it is now, and the assets that the change removed from its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangedUser {
    /// The account.
    pub user: UserView,
    /// Assets that the user may no longer use after moving to another region.
    pub dropped: DroppedAssets,
}

/// Declares the input of a change of a user: what may be changed of its data is the same in each.
macro_rules! user_change {
    ($(#[$about:meta])* $name:ident { $($more:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Input, Describe)]
        #[non_exhaustive]
        pub struct $name {
            /// The user's id.
            pub id: UserId,
            /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
            pub expected_version: Option<i64>,
            /// The address to sign in with. A new one counts as not verified.
            pub email: Patch<String>,
            /// The name to sign in with.
            pub username: Patch<String>,
            /// The whole name.
            pub full_name: Patch<String>,
            /// The name shown to others.
            pub display_name: Patch<String>,
            /// The given name.
            pub first_name: Patch<String>,
            /// The family name.
            pub last_name: Patch<String>,
            /// The phone number.
            pub phone: Patch<String>,
            /// The date of birth.
            pub birth_date: Patch<Date>,
            /// A short biography, in at most 500 characters and several lines.
            pub bio: Patch<String>,
            /// Where the user is, in their own words, at most 255 characters.
            pub location: Patch<String>,
            /// The address of the user's picture, by `http` or `https`, at most 500 characters. It is never fetched.
            pub avatar_url: Patch<String>,
            /// The address of the user's web page, likewise.
            pub website: Patch<String>,
            /// Which other users see the user's profile.
            pub visibility: Change<Visibility>,
            /// Other data that the application keeps with it: each given value is set, or removed by null; the others stay. As with
            /// `create`.
            pub attributes: BTreeMap<String, Json>,
            /// The region, by id or code. Drones of another region are removed from the user, and the result says which.
            pub region: Patch<String>,
            $($more)*
        }

        impl $name {
            /// What is changed of the user's data, noting what is wrong with it.
            pub(super) fn checked(&self, checks: &mut Checks, services: &Services, now: Time) -> ValidChange {
                let names = services.config.names();
                attributes::check_names::<User>(checks, &self.attributes);
                let profile = ProfileChange {
                    display_name: self.display_name.clone(),
                    phone: self.phone.clone(),
                    birth_date: self.birth_date.clone(),
                    bio: self.bio.clone(),
                    location: self.location.clone(),
                    avatar_url: self.avatar_url.clone(),
                    website: self.website.clone(),
                    visibility: self.visibility.clone(),
                };
                ValidChange {
                    expected_version: self.expected_version,
                    username: checks.patch("username", self.username.clone(), &|name| names.username(name)),
                    full_name: checks.patch("full_name", self.full_name.clone(), &|name| text::name(name, 255)),
                    first_name: checks.patch("first_name", self.first_name.clone(), &|name| text::name(name, 100)),
                    last_name: checks.patch("last_name", self.last_name.clone(), &|name| text::name(name, 100)),
                    email: checks.patch("email", self.email.clone(), &|email| names.email(email)),
                    region: self.region.clone(),
                    profile: profile.checked(checks, now),
                    attributes: self.attributes.clone(),
                    are_all_attributes: false,
                }
            }
        }
    };
}
pub(super) use user_change;

user_change! {
    /// Changes the given fields of a user; null clears one, the e-mail address only if the account stands for an identity at another
    /// issuer.
    ///
    /// Permission `user:update` before and after the change; the region, and everything else that the policy's conditions read, also
    /// needs `user:set_authority`; the account of an administrator needs `admin:all`; removing drones needs `drone:set_authority` if
    /// conditions read who flies them. Because the owner of an address can choose the password, changing somebody else's address needs a
    /// sign-in or `sessions.step_up` within the last five minutes, and `admin:all` for a user with more than the default roles; it ends
    /// all sessions of the user. The same applies to an address that differs only by compatible letters, which is another mailbox, but
    /// not if only the case of letters changes. Users change their own address with `email.change` if the store has a notifier; otherwise
    /// they need such a sign-in, too. Errors: `CONFLICT` if `expected_version` is stale, `DUPLICATE_RESOURCE`
    /// for a taken name, and `RATE_LIMIT_EXCEEDED` for another name of one's own account after ten within an hour that were taken.
    UpdateUser {}
}

/// Replaces all of a user's data: a field that is not given becomes null, the e-mail address only if the account stands for an identity
/// at another issuer. The visibility of the profile stays unless it is given.
///
/// Permission and errors as with `update`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ReplaceUser {
    /// The user's id.
    pub id: UserId,
    /// The address to sign in with. A new one counts as not verified.
    #[input(positional)]
    pub email: Option<String>,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// The name to sign in with.
    pub username: Option<String>,
    /// The whole name.
    pub full_name: Option<String>,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// The date of birth.
    pub birth_date: Option<Date>,
    /// A short biography, in at most 500 characters and several lines.
    pub bio: Option<String>,
    /// Where the user is, in their own words, at most 255 characters.
    pub location: Option<String>,
    /// The address of the user's picture, by `http` or `https`, at most 500 characters. It is never fetched.
    pub avatar_url: Option<String>,
    /// The address of the user's web page, likewise.
    pub website: Option<String>,
    /// Which other users see the user's profile; it stays if not given.
    pub visibility: Option<Visibility>,
    /// Other data that the application keeps with it; what is not given is removed. As with `create`.
    pub attributes: BTreeMap<String, Json>,
    /// The region, by id or code.
    pub region: Option<String>,
}

impl ReplaceUser {
    /// Starts a `ReplaceUser` without an e-mail address; the rest has setters.
    pub fn external(id: impl Into<UserId>) -> Self {
        Self { email: None, ..Self::new(id, "") }
    }
}

/// A valid change: each field as it will be, or kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidChange {
    pub(super) expected_version: Option<i64>,
    pub(super) email: Patch<String>,
    pub(super) username: Patch<String>,
    pub(super) full_name: Patch<String>,
    pub(super) first_name: Patch<String>,
    pub(super) last_name: Patch<String>,
    pub(super) region: Patch<String>,
    pub(super) profile: ProfileChange,
    pub(super) attributes: BTreeMap<String, Json>,
    /// Those that are not given go.
    pub(super) are_all_attributes: bool,
}

#[boxed_async]
impl Operation for UpdateUser {
    type Target = User;
    type Valid = ValidChange;

    const ACCESS: Access = Access::Permission("user:update");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing_to_show(reads, self.id).await
    }

    async fn validate(self, services: &Services, now: Time) -> Result<ValidChange> {
        let mut checks = Checks::default();
        let change = self.checked(&mut checks, services, now);
        checks.finish()?;
        Ok(change)
    }

    async fn plan(change: &ValidChange, before: User, plan: &mut Plan<'_>) -> Result<ChangedUser> {
        let (user, dropped) = change.plan(before, plan).await?;
        Ok(ChangedUser { user: shown(plan, user).await?, dropped })
    }
}

#[boxed_async]
impl Operation for ReplaceUser {
    type Target = User;
    type Valid = ValidChange;

    const ACCESS: Access = Access::Permission("user:update");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing_to_show(reads, self.id).await
    }

    async fn validate(self, services: &Services, now: Time) -> Result<ValidChange> {
        // The same fields as a new account's, so the same checks.
        let new = CreateUser {
            email: self.email,
            username: self.username,
            password: None,
            password_hash: None,
            full_name: self.full_name,
            display_name: self.display_name,
            first_name: self.first_name,
            last_name: self.last_name,
            phone: self.phone,
            birth_date: self.birth_date,
            bio: self.bio,
            location: self.location,
            avatar_url: self.avatar_url,
            website: self.website,
            visibility: self.visibility,
            attributes: self.attributes,
            region: None,
            roles: Vec::new(),
            groups: Vec::new(),
            status: None,
            identity: None,
        };
        let mut checks = Checks::default();
        let fields: Fields = new.check_fields(&mut checks, services, now)?;
        checks.finish()?;
        fn whole<T>(value: Option<T>) -> Patch<T> {
            value.map_or(Patch::Clear, Patch::Set)
        }
        let profile = ProfileChange {
            display_name: whole(fields.display_name),
            phone: whole(fields.phone),
            birth_date: whole(fields.birth_date),
            bio: whole(fields.bio),
            location: whole(fields.location),
            avatar_url: whole(fields.avatar_url),
            website: whole(fields.website),
            visibility: self.visibility.map_or(Change::Keep, Change::Set),
        };
        Ok(ValidChange {
            expected_version: self.expected_version,
            email: whole(fields.email),
            username: whole(fields.username),
            full_name: whole(fields.full_name),
            first_name: whole(fields.first_name),
            last_name: whole(fields.last_name),
            region: whole(self.region),
            profile,
            attributes: fields.attributes,
            are_all_attributes: true,
        })
    }

    async fn plan(change: &ValidChange, before: User, plan: &mut Plan<'_>) -> Result<ChangedUser> {
        let (user, dropped) = change.plan(before, plan).await?;
        Ok(ChangedUser { user: shown(plan, user).await?, dropped })
    }
}

impl ValidChange {
    /// Changes the names, profile and attributes that are given, and nothing else: what is not given stays.
    pub(in crate::operations) fn of_person(fields: Fields, visibility: Option<Visibility>) -> Self {
        fn given<T>(value: Option<T>) -> Patch<T> {
            value.map_or(Patch::Keep, Patch::Set)
        }
        let profile = ProfileChange {
            display_name: given(fields.display_name),
            phone: given(fields.phone),
            birth_date: given(fields.birth_date),
            bio: given(fields.bio),
            location: given(fields.location),
            avatar_url: given(fields.avatar_url),
            website: given(fields.website),
            visibility: visibility.map_or(Change::Keep, Change::Set),
        };
        Self {
            full_name: given(fields.full_name),
            first_name: given(fields.first_name),
            last_name: given(fields.last_name),
            profile,
            attributes: fields.attributes,
            ..Self::default()
        }
    }

    /// The account as it will be, where the caller may have it so, and whether its mail goes elsewhere then; whether its names are free has
    /// not been asked yet. None: nothing changes.
    pub(super) async fn applied(&self, before: &User, plan: &mut Plan<'_>) -> Result<Option<(User, bool)>> {
        administrators::require_may_act_as(plan, before.id).await?;
        expect_version(self.expected_version, before.version)?;
        let old = before.clone();
        let mut checks = Checks::default();
        let region_id = match &self.region {
            Patch::Keep => before.region_id,
            Patch::Clear => None,
            Patch::Set(region) => checks.found(region_named(plan, "region", region).await)?,
        };
        let held = old.attributes.as_ref();
        let attributes =
            attributes::changed(&mut checks, plan.rules(), User::TYPE, held, &self.attributes, self.are_all_attributes);
        checks.finish()?;
        let mut after = self.profile.clone().apply(User {
            email: self.email.clone().apply(old.email),
            username: self.username.clone().apply(old.username),
            full_name: self.full_name.clone().apply(old.full_name),
            first_name: self.first_name.clone().apply(old.first_name),
            last_name: self.last_name.clone().apply(old.last_name),
            region_id,
            attributes,
            ..old
        });
        if after == *before {
            return Ok(None);
        }
        let has_moved = unprove_moved(before, &mut after);
        after.updated_at = plan.now;
        rights::require_after(plan, "user:update", Some(before), &after).await?;
        if has_moved {
            require_may_redirect(plan, before.id).await?;
        }
        Ok(Some((after, has_moved)))
    }

    pub(in crate::operations) async fn plan(&self, before: User, plan: &mut Plan<'_>) -> Result<(User, DroppedAssets)> {
        let Some((after, has_moved)) = self.applied(&before, plan).await? else {
            return Ok((before, DroppedAssets::default()));
        };
        if plan.actor.user_id() == Some(before.id) {
            unless_page(Ok(()), || Box::pin(require_free(plan, &before, &after))).await?;
        }
        // Before its assets are read, so that none comes or goes unseen; names and address may be read by
        // conditions as well as the region.
        plan.move_authority(before.id).await?;
        if before.email.is_some() && after.email.is_none() {
            require_identity(before.id, plan).await?;
        }
        let claimed = |user: &User| {
            let names = [(Claim::EMAIL, &user.email), ("username", &user.username)];
            names.map(|(kind, name)| name.as_deref().map(|name| Claim::keys(kind, name)))
        };
        if claimed(&after) != claimed(&before) {
            let [old, new] = [&before, &after].map(|user| (user.email.as_deref(), user.username.as_deref()));
            plan.look_up(&[("email", old.0), ("email", new.0), ("username", old.1), ("username", new.1)]).await?;
        }
        plan.rename("email", before.email.as_deref(), after.email.as_deref(), before.id).await?;
        plan.rename("username", before.username.as_deref(), after.username.as_deref(), before.id).await?;
        notices::tell_of_username(plan, notices::tell_of_either, &before, &after).await?;
        let dropped = match after.region_id != before.region_id {
            true => fleet::moved::drop_elsewhere(&after, plan).await?,
            false => DroppedAssets::default(),
        };
        if has_moved && plan.actor.user_id() != Some(before.id) {
            redirect(plan, &before, &after).await?;
        }
        Ok((plan.update(&before, after), dropped))
    }
}

/// Refuses names that others have, of who changes its own account. That counts, so that nobody asks for one name after the other: once
/// there is no room for the answer, it is given of no other name.
async fn require_free(plan: &mut Plan<'_>, before: &User, after: &User) -> Result<()> {
    let new = |kind, before: &Option<String>, after: &Option<String>| {
        let is_new =
            |name: &String| before.as_deref().map(|old| Claim::keys(kind, old)) != Some(Claim::keys(kind, name));
        after.clone().filter(is_new)
    };
    let email = new(Claim::EMAIL, &before.email, &after.email);
    let username = new(Claim::USERNAME, &before.username, &after.username);
    if email.is_none() && username.is_none() {
        return Ok(());
    }
    let tried = Try::naming(plan.services, before.id)?;
    let standing = plan.standing(&tried).await?;
    let taken = if let Some(email) = email
        && plan.is_email_taken(&email, Some(before.id)).await?
    {
        Claim::EMAIL
    } else if let Some(username) = username
        && plan.is_username_taken(&username, Some(before.id)).await?
    {
        Claim::USERNAME
    } else {
        return Ok(());
    };
    plan.record_failure(&tried, &standing);
    let error = Error::taken(taken);
    plan.refuse(error.clone());
    Err(error)
}

/// Whether an account's mail goes elsewhere after a change; that address is not proved yet.
pub(super) fn unprove_moved(before: &User, after: &mut User) -> bool {
    let has_moved = match (&before.email, &after.email) {
        (Some(before), Some(after)) => !names::is_same_mailbox(before, after),
        (before, after) => before != after,
    };
    after.email_verified &= !has_moved;
    has_moved
}

/// Plans what comes with an address that somebody else gives an account.
pub(super) async fn redirect(plan: &mut Plan<'_>, before: &User, after: &User) -> Result<()> {
    // Nor is it undone by who changed it before.
    email::forbid_undo(plan, before).await?;
    epochs::advance(plan, before, SessionEnd::CredentialChanged, Password::Kept, ApiKeyFate::Kept).await?;
    notices::tell_of_staff(plan, NoticeKind::EmailChanged, before)?;
    notices::tell_of_staff(plan, NoticeKind::EmailChanged, after)
}

/// Whoever has an account's address can choose its password: changing it is acting as the user.
pub(super) async fn require_may_redirect(plan: &mut Plan<'_>, user: UserId) -> Result<()> {
    plan.actor.require_in_person()?;
    if plan.actor.user_id() != Some(user) {
        administrators::require_may_give_all_of(plan, user).await?;
        return rights::require_fresh(plan).await;
    }
    if plan.services.has_notifier() {
        return Err(Error::new(
            Reason::Denied,
            "your own address is changed by `email.change`, which proves that it is yours",
        ));
    }
    rights::require_fresh(plan).await
}

/// An account has an e-mail address or stands for somebody, as when it was made.
async fn require_identity(user: UserId, plan: &mut Plan<'_>) -> Result<()> {
    let identities: Vec<Identity> = plan.owned("user_id", &user.into()).await?;
    let Some(identity) = identities.first() else {
        let message = "can be cleared only where the account stands for somebody at another issuer";
        return Err(wrong("email", FieldCode::NotClearable, message));
    };
    plan.check(identity);
    Ok(())
}
