//! Making an account by the first token of a subject, where its issuer registers (AUT-17, decision 032).

use super::Foreign;
use crate::{
    credentials::foreign_token::Profile,
    model::{check::Invalid, error::Result, names::NameRules, record::ResourceRecord, text, user::User},
    operations::{
        epochs,
        limits::{Tries, Try},
        plan::Plan,
        rights,
        users::{Fields, existing, insert_own},
        verification,
    },
    rules::RuleSet,
};

/// Plans the account of a subject for whom none stands, not even a deleted one; or says why there is none.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`
pub(super) async fn register(plan: &mut Plan<'_>, foreign: &Foreign) -> Result<Result<User, &'static str>> {
    let Some(profile) = foreign.token.profile.as_ref().filter(|_| foreign.user.is_none()) else {
        return Ok(Err("no account stands for its subject"));
    };
    let mut fields = fields(plan.rules(), plan.services.config.names(), profile);
    plan.look_up(&[("email", fields.email.as_deref()), ("username", fields.username.as_deref())]).await?;
    // Whoever has the address links the identity in person.
    if let Some(email) = &fields.email
        && plan.is_email_taken(email, None).await?
    {
        return Ok(Err("no account stands for its subject, and another one has its address"));
    }
    if let Some(username) = &fields.username
        && plan.begins_without(username).await?
    {
        fields.username = None;
    }
    let tried = Try::registering(plan.services, plan.actor, Some(&foreign.identity.issuer), None)?;
    plan.count_failed(&tried).await?;
    let is_proved = fields.email.is_some();
    let user = insert_own(plan, fields, None, Some(foreign.identity.clone())).await?;
    let id = user.id;
    if is_proved {
        let credential = epochs::credential_of(plan, id).await?;
        verification::prove(plan, &user, credential).await?;
    }
    let by = format!("by a token of {}", foreign.identity.issuer);
    plan.audit("sign_in.external_registered", Some(("user", id.to_string())), Some(by));
    Ok(Ok(existing(plan.reads(), id).await?))
}

/// What of a profile a new account begins with: what could be given by its user, and decides about no rights.
fn fields(rules: &RuleSet, names: NameRules, profile: &Profile) -> Fields {
    let carries_authority = |field: &str| rights::carries_authority(rules, User::TYPE, field);
    let taken = |field: &str, value: &Option<String>, read: &dyn Fn(&str) -> Result<String, Invalid>| {
        value.as_deref().filter(|_| !carries_authority(field)).and_then(|value| read(value).ok())
    };
    let name = |field, value, most| taken(field, value, &|value: &str| text::name(value, most));
    Fields {
        // With the address goes that it is proved.
        email: taken("email", &profile.email, &|email| names.email(email))
            .filter(|_| !carries_authority("email_verified")),
        username: taken("username", &profile.username, &|name| names.username(name)),
        full_name: name("full_name", &profile.full_name, 255),
        display_name: name("display_name", &profile.display_name, 100),
        first_name: name("first_name", &profile.first_name, 100),
        last_name: name("last_name", &profile.last_name, 100),
        ..Fields::default()
    }
}
