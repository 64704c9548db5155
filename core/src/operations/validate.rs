//! Checking what a form holds before it is sent (USR-9, decision 039). Answers follow from the settings alone: nothing is read, so that
//! they tell nothing of who has an account.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{Access, Operation, plan::Plan, services::Services, users::CreateUser};
use crate::model::{check::Checks, decode::FieldError, error::Result, locale, secret::Secret, time::Time};

/// Checks the given fields of a form for an account or a profile, and returns everything that is wrong with them, and the valid ones as
/// they would be stored. Missing fields are not errors.
///
/// Anybody may call it. It does not check whether a name is taken or a password is known from a breach; the operation that creates or
/// changes the account does.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ValidateAccount {
    /// The address to sign in with, at most 255 characters.
    pub email: Option<String>,
    /// The name to sign in with: 3 to 50 letters, digits and underscores, by the setting `username_profile` dots and hyphens too, or
    /// letters of any language. It is not checked whether somebody has it, or one that looks like it.
    pub username: Option<String>,
    /// The password. It must not be built from the address, the username and the whole name that are given with it.
    pub password: Option<Secret>,
    /// The whole name, at most 255 characters.
    pub full_name: Option<String>,
    /// The name shown to others, at most 100 characters.
    pub display_name: Option<String>,
    /// The given name, at most 100 characters.
    pub first_name: Option<String>,
    /// The family name, at most 100 characters.
    pub last_name: Option<String>,
    /// The phone number, of 2 to 15 digits, including the country code.
    pub phone: Option<String>,
    /// The date of birth, not in the future.
    pub birth_date: Option<Date>,
    /// The address of a picture, by `http` or `https`, at most 500 characters.
    pub avatar_url: Option<String>,
    /// The address of a web page, likewise.
    pub website: Option<String>,
    /// A short biography, in at most 500 characters and several lines.
    pub bio: Option<String>,
    /// A place, at most 255 characters.
    pub location: Option<String>,
}

/// What is wrong with the fields of a form, and the valid ones as they would be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct FormValidation {
    /// Everything that is wrong, in the form of the fields of a `VALIDATION_ERROR`; empty: nothing is.
    pub errors: Vec<FieldError>,
    /// The given fields that are valid, by name, without the password: an address with its domain in Unicode and lower case, a phone
    /// number in E.164, a URL with its host in A-labels, prose with lines that end with `\n`, a date as `1990-12-31`.
    pub values: BTreeMap<String, String>,
}

impl FormValidation {
    fn of(checks: Checks, values: &mut [(&str, Option<String>)]) -> Self {
        let values = values.iter_mut().filter_map(|(name, value)| Some(((*name).to_owned(), value.take()?)));
        Self { errors: checks.into_told(), values: values.collect() }
    }
}

/// Checks the given fields of a form for preferences, as `validate.account` does.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ValidatePreferences {
    /// The tag of a language (BCP 47), at most 35 characters, such as `de-CH`.
    pub language: Option<String>,
    /// The name of a time zone in the IANA database, such as `Europe/Berlin`.
    pub time_zone: Option<String>,
}

#[boxed_async]
impl Operation for ValidateAccount {
    type Target = ();
    type Valid = FormValidation;

    const ACCESS: Access = Access::Public;
    const IS_READ: bool = true;
    // With it comes the list of common passwords.
    const IS_DEFERRED: bool = true;

    async fn validate(self, services: &Services, now: Time) -> Result<FormValidation> {
        let mut checks = Checks::default();
        // The same fields as a new account's, so the same checks.
        let new = CreateUser {
            email: self.email,
            username: self.username,
            password: self.password,
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
            ..CreateUser::new("")
        };
        let fields = new.check_fields(&mut checks, services, now)?;
        let mut values = [
            ("email", fields.email),
            ("username", fields.username),
            ("full_name", fields.full_name),
            ("display_name", fields.display_name),
            ("first_name", fields.first_name),
            ("last_name", fields.last_name),
            ("phone", fields.phone),
            ("birth_date", fields.birth_date.map(|date| date.to_string())),
            ("avatar_url", fields.avatar_url),
            ("website", fields.website),
            ("bio", fields.bio),
            ("location", fields.location),
        ];
        Ok(FormValidation::of(checks, &mut values))
    }

    async fn plan(valid: &FormValidation, (): (), _: &mut Plan<'_>) -> Result<FormValidation> {
        Ok(valid.clone())
    }
}

#[boxed_async]
impl Operation for ValidatePreferences {
    type Target = ();
    type Valid = FormValidation;

    const ACCESS: Access = Access::Public;
    const IS_READ: bool = true;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<FormValidation> {
        let mut checks = Checks::default();
        let language = checks.optional("language", self.language.as_deref(), locale::language);
        let time_zone = checks.optional("time_zone", self.time_zone.as_deref(), locale::time_zone);
        Ok(FormValidation::of(checks, &mut [("language", language), ("time_zone", time_zone)]))
    }

    async fn plan(valid: &FormValidation, (): (), _: &mut Plan<'_>) -> Result<FormValidation> {
        Ok(valid.clone())
    }
}
