//! What users like, by themselves alone (USR-11).

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    Access, Operation,
    plan::{Plan, expect_version},
    profiles::{self, ProfileChange},
    services::Services,
    users::existing,
};
use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    error::Result,
    locale,
    patch::{Change, Patch},
    preferences::Preferences,
    time::Time,
    user::{User, Visibility},
};

pub use crate::model::preferences::Theme;

/// The longest key of the free data, in characters.
const LONGEST_KEY: usize = 64;
/// The most that the free data take, as JSON, in bytes.
const MOST_DATA: usize = 16 * 1024;

/// A user's preferences.
#[derive(Clone, Debug, PartialEq, Serialize, Describe)]
#[describe(name = "UserPreferences")]
#[non_exhaustive]
pub struct PreferencesView {
    /// The theme of applications.
    pub theme: Theme,
    /// The language, as BCP 47 writes it.
    pub language: Option<String>,
    /// The time zone, by its name in the IANA database.
    pub time_zone: Option<String>,
    /// Whether the user accepts unsolicited mail. Notices about the account are sent in any case.
    pub email_notifications: bool,
    /// Whether the user accepts unsolicited text messages.
    pub sms_notifications: bool,
    /// Whether the user's profile is visible to all who may see profiles (`visibility` is `public`).
    pub public_profile: bool,
    /// Other data that the application keeps.
    pub data: BTreeMap<String, Json>,
    /// When they were last changed; null: never.
    pub updated_at: Option<Time>,
    /// Increases by one with every change; 0 before the first.
    pub version: i64,
}

impl PreferencesView {
    fn of(known: Preferences, user: &User) -> Self {
        Self {
            theme: known.theme,
            language: known.language,
            time_zone: known.time_zone,
            email_notifications: known.email_notifications,
            sms_notifications: known.sms_notifications,
            public_profile: user.visibility == Visibility::Public,
            data: known.data.0,
            updated_at: Some(known.updated_at).filter(|_| known.version > 0),
            version: known.version,
        }
    }
}

/// Gets the caller's preferences; those of a user who has changed nothing are the defaults: theme `system`, no language, no time zone,
/// mail accepted, text messages not. Whether the profile is public follows from the user's visibility.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetPreferences {}

/// Changes the given preferences of the caller; null clears one.
///
/// Making the profile public, or private again, needs permission `user:update_profile`, as with `profiles.update`, which does not
/// increase the version of the preferences. Errors: `CONFLICT` if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdatePreferences {
    /// The version that the change is based on, 0 before the first; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// The theme of applications.
    pub theme: Change<Theme>,
    /// The tag of a language (BCP 47), at most 35 characters, such as `de-CH`.
    pub language: Patch<String>,
    /// The name of a time zone in the IANA database, such as `Europe/Berlin`.
    pub time_zone: Patch<String>,
    /// Whether the user accepts unsolicited mail.
    pub email_notifications: Change<bool>,
    /// Whether the user accepts unsolicited text messages.
    pub sms_notifications: Change<bool>,
    /// Whether the profile is visible to all who may see profiles: true sets the visibility to `public`; false sets `public` to
    /// `private`.
    pub public_profile: Change<bool>,
    /// Other data that the application keeps: each given key is set, or removed by null; the others stay. Keys have 1 to 64 characters,
    /// and all together take at most 16 KiB as JSON.
    pub data: BTreeMap<String, Json>,
}

/// The caller, and its preferences as they are stored or by default: of version 0.
async fn own(plan: &Plan<'_>) -> Result<(User, Preferences)> {
    let user = existing(plan.reads(), plan.actor.signed_in()?.id).await?;
    let stored = plan.reads().get(&(user.id,)).await?;
    let known = stored.unwrap_or_else(|| Preferences::none(user.id, plan.now));
    Ok((user, known))
}

#[boxed_async]
impl Operation for GetPreferences {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IN_PERSON: bool = false;
    const IS_DEFERRED: bool = true;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<PreferencesView> {
        let (user, known) = own(plan).await?;
        Ok(PreferencesView::of(known, &user))
    }
}

#[boxed_async]
impl Operation for UpdatePreferences {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(mut self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        self.language = checks.patch("language", self.language, &locale::language);
        self.time_zone = checks.patch("time_zone", self.time_zone, &locale::time_zone);
        let is_key = |key: &String| (1..=LONGEST_KEY).contains(&key.chars().take(LONGEST_KEY + 1).count());
        if !self.data.keys().all(is_key) {
            let message = format!("keys must have 1 to {LONGEST_KEY} characters");
            checks.error("data", Invalid::new(FieldCode::TooLong, message));
        }
        checks.depth("data", self.data.values());
        checks.finish()?;
        Ok(self)
    }

    async fn plan(change: &Self, (): (), plan: &mut Plan<'_>) -> Result<PreferencesView> {
        let (user, before) = own(plan).await?;
        expect_version(change.expected_version, before.version)?;
        let change = change.clone();
        let mut after = before.clone();
        after.theme = change.theme.apply(after.theme);
        after.language = change.language.apply(after.language);
        after.time_zone = change.time_zone.apply(after.time_zone);
        after.email_notifications = change.email_notifications.apply(after.email_notifications);
        after.sms_notifications = change.sms_notifications.apply(after.sms_notifications);
        for (key, value) in change.data {
            if value.is_null() {
                after.data.0.remove(&key);
            } else {
                after.data.0.insert(key, value);
            }
        }
        let size = after.data.text().len();
        if size > MOST_DATA {
            let mut checks = Checks::default();
            let message =
                format!("all data together must take at most {MOST_DATA} bytes as JSON, and would take {size}");
            checks.error("data", Invalid::new(FieldCode::TooLong, message));
            checks.finish()?;
        }
        let visibility = match (change.public_profile, user.visibility) {
            (Change::Set(true), _) => Visibility::Public,
            (Change::Set(false), Visibility::Public) => Visibility::Private,
            (_, same) => same,
        };
        let changed: Vec<&str> = [
            ("theme", before.theme != after.theme),
            ("language", before.language != after.language),
            ("time_zone", before.time_zone != after.time_zone),
            ("email_notifications", before.email_notifications != after.email_notifications),
            ("sms_notifications", before.sms_notifications != after.sms_notifications),
            ("public_profile", user.visibility != visibility),
            ("data", before.data != after.data),
        ]
        .into_iter()
        .filter_map(|(name, is_changed)| is_changed.then_some(name))
        .collect();
        if changed.is_empty() {
            return Ok(PreferencesView::of(before, &user));
        }
        plan.audit("preferences.update", Some(("user", before.user_id.to_string())), Some(changed.join(", ")));
        let user = if user.visibility == visibility {
            // Whoever deletes the account meanwhile must see what joins it.
            plan.check(&user);
            user
        } else {
            let change = ProfileChange { visibility: Change::Set(visibility), ..ProfileChange::default() };
            profiles::change_own(plan, user, None, change).await?
        };
        let stored = Some(&before).filter(|before| before.version > 0);
        let after = plan.write_consequence(stored, Preferences { updated_at: plan.now, ..after });
        Ok(PreferencesView::of(after, &user))
    }
}
