//! One record as the account that is to be made of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::{
    fields::{Fields, into_flag, into_id, into_text, into_time, try_object},
    hashes::{self, Password, Project},
};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::{self, FieldCode, FieldError},
        import::{ImportOptions, ImportShape},
        time::Time,
        user::{User, UserStatus},
    },
    operations::{attributes, users::CreateUser},
};

const NO_PASSWORDS: &str = "passwords are imported as hashes alone, `password_hash`";
/// What ids of a source have at most, in characters.
const LONGEST_ID: usize = 255;

/// An account that is to be made of a record.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Who it is at the source.
    pub(super) foreign_id: Option<String>,
    pub(super) user: CreateUser,
    pub(super) status: UserStatus,
    pub(super) status_reason: Option<String>,
    pub(super) suspended_until: Option<Time>,
    pub(super) is_email_verified: bool,
    pub(super) created_at: Option<Time>,
    /// As the source calls them.
    pub(super) roles: BTreeSet<String>,
    /// The same.
    pub(super) groups: BTreeSet<String>,
    /// Fields that nothing was made of.
    pub(super) ignored: BTreeSet<String>,
    pub(super) checks: Checks,
    /// What could not be read, and was left out for it.
    pub(super) unread: Vec<FieldError>,
}

/// How records become accounts.
pub(super) struct Mapping<'m> {
    pub(super) options: &'m ImportOptions,
    pub(super) project: Option<Project<'m>>,
    /// Whether the policy declares an attribute of this name.
    pub(super) is_declared: &'m (dyn Fn(&str) -> bool + Sync),
}

impl Mapping<'_> {
    /// The account of a record; none: it is no user.
    pub(super) fn candidate(&self, record: Map<String, Json>) -> Option<Candidate> {
        let mut made = Candidate {
            foreign_id: None,
            user: CreateUser { email: None, ..CreateUser::new("") },
            status: UserStatus::Active,
            status_reason: None,
            suspended_until: None,
            is_email_verified: false,
            created_at: None,
            roles: BTreeSet::new(),
            groups: BTreeSet::new(),
            ignored: BTreeSet::new(),
            checks: Checks::default(),
            unread: Vec::new(),
        };
        let mut fields = Fields::of(record);
        let free = match self.options.shape {
            ImportShape::Rolekeep => {
                ours(&mut made, &mut fields);
                None
            }
            ImportShape::Auth0 => Some(auth0(&mut made, &mut fields)),
            ImportShape::Firebase => Some(firebase(&mut made, &mut fields, self.project.as_ref())),
            ImportShape::Supabase => Some(supabase(&mut made, &mut fields)),
            ImportShape::Django => Some(django(&mut made, &mut fields)?),
            ImportShape::Keycloak => Some(keycloak(&mut made, &mut fields)),
        };
        let (left, mut ignored) = fields.rest();
        match free {
            None => {
                for name in left.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name) {
                    let message = match name.as_str() {
                        "password" => NO_PASSWORDS,
                        _ => "is no field of an import",
                    };
                    made.checks.error(&decode::shown(&name), Invalid::new(FieldCode::UnknownField, message));
                }
            }
            Some(free) => {
                self.keep_free(&mut made, left, free, &mut ignored);
                self.tell_groups(&mut made);
            }
        }
        made.foreign_id = made.foreign_id.and_then(|id| {
            let is_fit = !id.is_empty() && id.chars().count() <= LONGEST_ID && !id.chars().any(char::is_control);
            if !is_fit {
                let message = format!("must have 1 to {LONGEST_ID} characters, and no control characters");
                made.checks.error("foreign_id", Invalid::new(FieldCode::InvalidFormat, message));
            }
            Some(id).filter(|_| is_fit)
        });
        made.ignored = ignored;
        Some(made)
    }

    /// What the source keeps of its own accord: as the call says, else as attributes that no rule reads. What the policy declares is
    /// chosen by the call alone.
    fn keep_free(
        &self,
        made: &mut Candidate,
        left: Map<String, Json>,
        free: Map<String, Json>,
        ignored: &mut BTreeSet<String>,
    ) {
        // What the source itself leaves empty of what the call maps, its user does not fill in.
        let is_empty = |(name, value): (&String, &Json)| value.is_null().then(|| self.options.attributes.get(name))?;
        let empty: BTreeSet<String> = left.iter().filter_map(is_empty).cloned().collect();
        let left = left.into_iter().map(|field| (field, false));
        let fields = left.chain(free.into_iter().map(|field| (field, true))).filter(|((_, value), _)| !value.is_null());
        // Of several that become one attribute, what the source says goes before what its user may have chosen there, and what the call
        // maps before what happens to have the name.
        let (mapped, named): (Vec<_>, Vec<_>) =
            fields.partition(|((name, _), _)| self.options.attributes.contains_key(name));
        for ((name, value), is_free) in mapped.into_iter().chain(named) {
            let is_kept = || is_free && !(self.is_declared)(&name) && attributes::check_name::<User>(&name).is_ok();
            let kept = self.options.attributes.get(&name).or_else(|| is_kept().then_some(&name));
            let is_settled = |kept: &String| made.user.attributes.contains_key(kept) || is_free && empty.contains(kept);
            match kept.filter(|kept| !is_settled(kept)) {
                Some(kept) => drop(made.user.attributes.insert(kept.clone(), value)),
                None => drop(ignored.insert(name)),
            }
        }
    }

    /// Other systems call a role what is a group here, and the other way round: the call says what each name is, which may be both.
    fn tell_groups(&self, made: &mut Candidate) {
        let options = self.options;
        made.groups = made.roles.iter().filter(|name| options.groups.contains_key(*name)).cloned().collect();
        made.roles.retain(|name| options.roles.contains_key(name) || !options.groups.contains_key(name));
    }
}

/// Takes one of our own fields; what is there and cannot be read is wrong.
fn read<T>(
    made: &mut Candidate,
    fields: &mut Fields,
    name: &str,
    what: &str,
    read: impl FnOnce(Json) -> Option<T>,
) -> Option<T> {
    let value = fields.take(name)?;
    made.checks.field(name, read(value).ok_or_else(|| Invalid::new(FieldCode::InvalidFormat, format!("is not {what}"))))
}

/// Our own names.
fn ours(made: &mut Candidate, fields: &mut Fields) {
    let text = |made: &mut Candidate, fields: &mut Fields, name: &str| read(made, fields, name, "a text", into_text);
    let parsed = |value: Json| into_text(value)?.parse().ok();
    foreign_id(made, fields, &["foreign_id"]);
    made.user.email = text(made, fields, "email");
    made.user.username = text(made, fields, "username");
    made.user.password_hash = text(made, fields, "password_hash").map(Into::into);
    made.user.full_name = text(made, fields, "full_name");
    made.user.display_name = text(made, fields, "display_name");
    made.user.first_name = text(made, fields, "first_name");
    made.user.last_name = text(made, fields, "last_name");
    made.user.phone = text(made, fields, "phone");
    made.user.bio = text(made, fields, "bio");
    made.user.location = text(made, fields, "location");
    made.user.avatar_url = text(made, fields, "avatar_url");
    made.user.website = text(made, fields, "website");
    made.user.region = text(made, fields, "region");
    let attributes = read(made, fields, "attributes", "a JSON object", try_object);
    made.user.attributes = attributes.unwrap_or_default().into_iter().collect();
    made.user.birth_date = read(made, fields, "birth_date", "a date such as 1990-12-31", parsed);
    let parsed = |value: Json| into_text(value)?.parse().ok();
    made.user.visibility = read(made, fields, "visibility", "one of public, followers, private", parsed);
    let status = |value: Json| match into_text(value)?.as_str() {
        "active" => Some(UserStatus::Active),
        "inactive" => Some(UserStatus::Inactive),
        "suspended" => Some(UserStatus::Suspended),
        "banned" => Some(UserStatus::Banned),
        _ => None,
    };
    let status = read(made, fields, "status", "active, inactive, suspended or banned", status);
    made.status = status.unwrap_or(UserStatus::Active);
    made.status_reason = text(made, fields, "status_reason");
    let moment = "a time (RFC 3339)";
    made.suspended_until = read(made, fields, "suspended_until", moment, into_time);
    if made.suspended_until.is_some() && made.status != UserStatus::Suspended {
        made.checks.error("suspended_until", Invalid::new(FieldCode::Disagrees, "goes with the status `suspended`"));
    }
    made.created_at = read(made, fields, "created_at", moment, into_time);
    let is_verified = read(made, fields, "email_verified", "true or false", |value| into_flag(&value));
    made.is_email_verified = is_verified.unwrap_or_default();
    made.roles = fields.take("roles").map(role_names).unwrap_or_default();
    made.groups = fields.take("groups").map(role_names).unwrap_or_default();
}

/// An export of Auth0, or a file that its bulk import takes; what it makes accounts of free is answered.
fn auth0(made: &mut Candidate, fields: &mut Fields) -> Map<String, Json> {
    foreign_id(made, fields, &["user_id", "_id", "Id"]);
    names(
        made,
        fields,
        &[("email", "email"), ("username", "username"), ("full_name", "name"), ("phone", "phone_number")],
    );
    names(made, fields, &[("first_name", "given_name"), ("last_name", "family_name")]);
    let flags = ["email_verified", "emailVerified"].map(|name| fields.is_set(name));
    made.is_email_verified = flags.into_iter().flatten().next().unwrap_or_default();
    made.created_at = fields.time("created_at");
    if is_shut_out(made, fields, "blocked", true) {
        made.status = UserStatus::Banned;
    }
    let own = ["passwordHash", "password_hash"].map(|name| fields.hash(name));
    let custom = fields.take("custom_password_hash").map(hashes::of_auth0);
    made.user.password_hash = own.into_iter().flatten().next().or(custom).map(Into::into);
    made.roles = roles_of(fields, "app_metadata");
    fields.object("user_metadata")
}

/// What `firebase auth:export` writes, as JSON.
fn firebase(made: &mut Candidate, fields: &mut Fields, project: Option<&Project<'_>>) -> Map<String, Json> {
    foreign_id(made, fields, &["localId"]);
    names(made, fields, &[("email", "email"), ("display_name", "displayName"), ("phone", "phoneNumber")]);
    made.is_email_verified = fields.is_set("emailVerified").unwrap_or_default();
    made.created_at = fields.time("createdAt");
    if is_shut_out(made, fields, "disabled", true) {
        made.status = UserStatus::Inactive;
    }
    let (hash, salt) = (fields.hash("passwordHash"), fields.text("salt"));
    // Without the project's parameters it is of no known form, and the record says so.
    let whole = |hash: String| hashes::of_firebase(&hash, salt.as_deref(), project).unwrap_or(hash);
    made.user.password_hash = hash.map(whole).map(Into::into);
    made.roles = roles_of(fields, "customAttributes");
    Map::new()
}

/// Rows of `auth.users`.
fn supabase(made: &mut Candidate, fields: &mut Fields) -> Map<String, Json> {
    foreign_id(made, fields, &["id"]);
    names(made, fields, &[("email", "email"), ("phone", "phone")]);
    made.user.password_hash = fields.hash("encrypted_password").map(Into::into);
    // `confirmed_at` is the earlier of what was confirmed of address and phone.
    let [by_email, by_phone, by_either] =
        ["email_confirmed_at", "phone_confirmed_at", "confirmed_at"].map(|name| fields.take(name).is_some());
    made.is_email_verified = by_email || by_either && !by_phone;
    made.created_at = fields.time("created_at");
    if let Some(until) = fields.take("banned_until") {
        made.status = UserStatus::Suspended;
        made.suspended_until = into_time(until);
    }
    made.roles = roles_of(fields, "raw_app_meta_data");
    let mut free = fields.object("raw_user_meta_data");
    made.user.full_name = match free.remove("full_name") {
        Some(Json::String(name)) => Some(name),
        None | Some(Json::Null) => None,
        Some(_) => {
            fields.ignored.insert("full_name".to_owned());
            None
        }
    };
    free
}

/// `dumpdata auth.user`, or rows of its table; none: an object of another model.
fn django(made: &mut Candidate, fields: &mut Fields) -> Option<Map<String, Json>> {
    if let Some(model) = fields.text("model") {
        foreign_id(made, fields, &["pk"]);
        let is_user = model.rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case("user"));
        *fields = Fields::of(fields.object("fields"));
        if !is_user {
            return None;
        }
    } else {
        foreign_id(made, fields, &["pk", "id"]);
    }
    names(made, fields, &[("email", "email"), ("username", "username")]);
    names(made, fields, &[("first_name", "first_name"), ("last_name", "last_name")]);
    // Django begins what no password gives with an exclamation mark.
    made.user.password_hash = fields.hash("password").filter(|hash| !hash.starts_with('!')).map(Into::into);
    made.created_at = fields.time("date_joined");
    if is_shut_out(made, fields, "is_active", false) {
        made.status = UserStatus::Inactive;
    }
    made.roles = fields.take("groups").map(role_names).unwrap_or_default();
    // They are no matter of a file.
    for name in ["is_superuser", "is_staff"] {
        if fields.is_set(name) == Some(true) {
            fields.ignored.insert(name.to_owned());
        }
    }
    Some(Map::new())
}

/// The users of an exported realm.
fn keycloak(made: &mut Candidate, fields: &mut Fields) -> Map<String, Json> {
    foreign_id(made, fields, &["id"]);
    names(made, fields, &[("email", "email"), ("username", "username")]);
    names(made, fields, &[("first_name", "firstName"), ("last_name", "lastName")]);
    made.is_email_verified = fields.is_set("emailVerified").unwrap_or_default();
    made.created_at = fields.time("createdTimestamp");
    if is_shut_out(made, fields, "enabled", false) {
        made.status = UserStatus::Inactive;
    }
    let no_list = "a list of credentials";
    let list = |value: Json| match value {
        Json::Array(credentials) => Some(credentials),
        _ => None,
    };
    match hashes::of_keycloak(read(made, fields, "credentials", no_list, list).unwrap_or_default()) {
        Password::None => {}
        Password::Plain => made.checks.error("password", Invalid::new(FieldCode::UnknownField, NO_PASSWORDS)),
        Password::Hash(hash) => made.user.password_hash = Some(hash.into()),
    }
    let groups = ["realmRoles", "groups"].map(|name| fields.take(name).map(role_names).unwrap_or_default());
    made.roles = groups.into_iter().flatten().collect();
    // Each is a list; one of one is its value.
    let single = |value: Json| match value {
        Json::Array(mut one) if one.len() == 1 => one.remove(0),
        value => value,
    };
    fields.object("attributes").into_iter().map(|(name, value)| (name, single(value))).collect()
}

/// Takes fields over that are texts of an account.
fn names(made: &mut Candidate, fields: &mut Fields, pairs: &[(&str, &str)]) {
    for (ours, theirs) in pairs {
        let user = &mut made.user;
        let field = match *ours {
            "email" => &mut user.email,
            "username" => &mut user.username,
            "full_name" => &mut user.full_name,
            "display_name" => &mut user.display_name,
            "first_name" => &mut user.first_name,
            "last_name" => &mut user.last_name,
            _ => &mut user.phone,
        };
        *field = fields.text(theirs);
    }
}

/// Whether a flag of the source has the value that lets nobody in. One that cannot be read fails the record: it may be just that.
fn is_shut_out(made: &mut Candidate, fields: &mut Fields, name: &str, shut: bool) -> bool {
    read(made, fields, name, "true or false", |value| into_flag(&value)) == Some(shut)
}

/// Takes the id at the source, the first of these. A record whose id cannot be read fails: by its address alone it could be taken for
/// somebody else.
fn foreign_id(made: &mut Candidate, fields: &mut Fields, names: &[&str]) {
    if let Some(id) = fields.any(names) {
        let wrong = || Invalid::new(FieldCode::InvalidFormat, "is not a text or a whole number below 2^64");
        made.foreign_id = made.checks.field("foreign_id", into_id(id).ok_or_else(wrong));
    }
}

/// The roles that an object of the source names: `role`, `roles`, `groups`, and members that are true.
fn roles_of(fields: &mut Fields, object: &str) -> BTreeSet<String> {
    let mut roles = BTreeSet::new();
    for (name, value) in fields.object(object) {
        match (name.as_str(), value) {
            (_, Json::Null | Json::Bool(false)) => {}
            ("role" | "roles" | "groups", value) => roles.extend(role_names(value)),
            (_, Json::Bool(true)) => drop(roles.insert(name)),
            (name, _) => drop(fields.ignored.insert(format!("{object}.{name}"))),
        }
    }
    roles
}

/// Names of roles or groups: a list, of whose elements lists are natural keys, or a text with semicolons.
fn role_names(value: Json) -> BTreeSet<String> {
    match value {
        Json::Array(items) => items.into_iter().flat_map(role_names).collect(),
        Json::String(text) => {
            text.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
        value => into_text(value).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
