//! Beginning an import, and going on with one.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{KEPT_SECONDS, finish::open, require_may, view::ImportView};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::Result,
        id::{GroupId, ImportId},
        import::{
            Import, ImportCounts, ImportFormat, ImportLevel, ImportOptions, ImportShape, ImportStatus, OnExisting,
            Reading,
        },
        record::Document,
        secret::Secret,
        text,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, attributes, groups, plan::Plan, services::Services, users::check_roles},
};

/// So many names of a source are mapped at most.
const MOST_MAPPED: usize = 100;

/// Begins an import of users, which `imports.feed` feeds and `imports.finish` ends. Each language has a helper that does all three.
///
/// Permission `user:import`, held everywhere; each account needs `user:create` as well, and one that is changed `user:update`. Hashes of
/// passwords, roles, groups and addresses that count as verified need `admin:all`, groups also `role:assign` and `group:read`. An import
/// that is not fed for seven days ends, and is deleted.
/// Errors: `VALIDATION_ERROR` with all wrong fields.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct BeginImport {
    /// Where the users come from: 1 to 64 letters, digits, `-`, `_` and `.`, whatever the case. The user's id there, or else the address,
    /// is stored with it, so that the same record never creates two accounts.
    pub source: String,
    /// The format of the data.
    pub format: ImportFormat,
    /// The system whose field names the records have. Default: `rolekeep`, the names of `users.create`, where an unknown field is an
    /// error; in other shapes unknown fields are only counted.
    #[input(default = ImportShape::Rolekeep)]
    pub shape: ImportShape,
    /// What happens to records of existing accounts. Default: `skip`.
    #[input(default = OnExisting::Skip)]
    pub on_existing: OnExisting,
    /// What happens to invalid fields. Default: `strict`.
    #[input(default = ImportLevel::Strict)]
    pub level: ImportLevel,
    /// Whether a record is matched with an account of the same address that did not come from this source, if the address is verified
    /// here and there. Default: false: the record fails.
    #[input(default = false)]
    pub match_email: bool,
    /// Whether all records are imported or none, at the end: up to 10,000 records and 8 MiB. Default: false.
    #[input(default = false)]
    pub atomic: bool,
    /// Whether addresses count as verified if the source says so.
    #[input(default = false)]
    pub trust_verified_emails: bool,
    /// Whether accounts whose password hash has an unknown format are created without a password. Default: false: they fail.
    #[input(default = false)]
    pub without_unknown_hashes: bool,
    /// A map from roles of the source to roles of the policy, to be held everywhere. Other roles are only counted. Every account also
    /// gets the default roles.
    pub roles: BTreeMap<String, String>,
    /// A map from groups of the source to names of groups here, of which created accounts become members. Others are only counted. In our
    /// own shape a record names its groups in the field `groups`; in those of other systems whatever may be a role may be a group as
    /// well.
    pub groups: BTreeMap<String, String>,
    /// With the shape of another system: a map from fields of the source to attributes. In our own shape a record has them in its field
    /// `attributes` instead, and this is refused. Custom data of the source becomes attributes of the same names, except those that
    /// the policy declares; other fields are only counted.
    pub attributes: BTreeMap<String, String>,
    /// The hash parameters of a Firebase project.
    pub firebase: Option<FirebaseHashing>,
}

/// What the hashes of a Firebase project are made with, as its console shows it.
#[derive(Clone, Debug, PartialEq, Eq, Input, Describe)]
#[non_exhaustive]
pub struct FirebaseHashing {
    /// `base64_signer_key`
    pub signer_key: Secret,
    /// `base64_salt_separator`
    pub salt_separator: String,
    /// `rounds`
    pub rounds: u32,
    /// `mem_cost`
    pub memory_cost: u32,
}

/// Continues an import that was interrupted.
///
/// Feed its source again from the beginning: what was read before is compared, not imported again. Errors: `RESOURCE_NOT_FOUND` for an
/// import that somebody else began, unless the caller has `admin:all`; `CONFLICT` for one that is no longer open.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ResumeImport {
    /// The import.
    pub id: ImportId,
}

#[boxed_async]
impl Operation for BeginImport {
    type Target = ();
    type Valid = (ImportOptions, BTreeMap<String, String>, Option<Secret>, Checks);

    const ACCESS: Access = Access::Everywhere("user:import");
    // No program gives anybody anything.
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let source = checks.field("source", text::code(&self.source)).unwrap_or_default().to_ascii_lowercase();
        for (field, mapped) in [("roles", &self.roles), ("groups", &self.groups), ("attributes", &self.attributes)] {
            if mapped.len() > MOST_MAPPED {
                checks.error(field, Invalid::new(FieldCode::TooLong, format!("must have at most {MOST_MAPPED} items")));
            }
        }
        for name in self.attributes.values() {
            checks.field("attributes", attributes::check_name::<User>(name));
        }
        let is_firebase = self.shape == ImportShape::Firebase;
        if self.firebase.is_some() && !is_firebase {
            checks.error("firebase", Invalid::new(FieldCode::Disagrees, "goes with the shape `firebase`"));
        }
        if self.shape == ImportShape::Rolekeep && !self.attributes.is_empty() {
            let message = "goes with the shape of another system; ours has a field `attributes`";
            checks.error("attributes", Invalid::new(FieldCode::Disagrees, message));
        }
        if self.atomic && self.level == ImportLevel::Check {
            checks.error("atomic", Invalid::new(FieldCode::Disagrees, "nothing is written at the level `check`"));
        }
        let parameters = self.firebase.and_then(|firebase| firebase.text(&mut checks));
        let options = ImportOptions {
            source,
            format: self.format,
            shape: self.shape,
            on_existing: self.on_existing,
            level: self.level,
            match_email: self.match_email,
            atomic: self.atomic,
            trust_verified_emails: self.trust_verified_emails,
            without_unknown_hashes: self.without_unknown_hashes,
            roles: self.roles,
            // They are found once it is known that the caller may put somebody into groups.
            groups: BTreeMap::new(),
            attributes: self.attributes,
        };
        Ok((options, self.groups, parameters, checks))
    }

    async fn plan(
        (options, groups, parameters, checks): &Self::Valid,
        (): (),
        plan: &mut Plan<'_>,
    ) -> Result<ImportView> {
        require_may(plan, options)?;
        let mut checks = checks.clone();
        let roles: Vec<String> = options.roles.values().cloned().collect();
        check_roles(&mut checks, plan.rules(), &roles);
        let groups = groups_named(&mut checks, plan, groups).await?;
        checks.finish()?;
        let options = ImportOptions { groups, ..options.clone() };
        let import = Import {
            id: plan.services.env.new_id()?,
            started_by: plan.actor.user_id(),
            options: Document(options),
            hash_parameters: parameters.clone(),
            status: ImportStatus::Open,
            position: 0,
            reading: Document(Reading::default()),
            digest: Secret::from(String::new()),
            replayed_digest: None,
            counts: Document(ImportCounts::default()),
            created_at: plan.now,
            updated_at: plan.now,
            expires_at: plan.now.plus_seconds(KEPT_SECONDS),
            version: 0,
        };
        plan.audit("imports.begin", Some(("import", import.id.to_string())), Some(import.options.0.source.clone()));
        Ok(ImportView::of(plan.write_consequence(None, import)))
    }
}

/// Our groups, by those of the source: by id, so that one that is renamed meanwhile stays what was meant.
async fn groups_named(
    checks: &mut Checks,
    plan: &mut Plan<'_>,
    names: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, GroupId>> {
    let mut groups = BTreeMap::new();
    if names.is_empty() {
        return Ok(groups);
    }
    groups::require_may_add(plan)?;
    // Of more, all is said.
    for (at, (theirs, ours)) in names.iter().take(MOST_MAPPED).enumerate() {
        match groups::named(plan, ours).await? {
            Some(group) => drop(groups.insert(theirs.clone(), group.id)),
            None => {
                checks.error(&format!("groups[{at}]"), Invalid::new(FieldCode::NotFound, "there is no such group"));
            }
        }
    }
    Ok(groups)
}

#[boxed_async]
impl Operation for ResumeImport {
    type Target = ();
    type Valid = ImportId;

    const ACCESS: Access = Access::Everywhere("user:import");
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ImportId> {
        Ok(self.id)
    }

    async fn plan(id: &ImportId, (): (), plan: &mut Plan<'_>) -> Result<ImportView> {
        let before = open(*id, plan).await?;
        let replayed = (before.position > 0).then_some(0);
        let reading = Document(Reading { replayed, ..before.reading.0.clone() });
        plan.audit("imports.resume", Some(("import", id.to_string())), None);
        let after = Import { reading, replayed_digest: None, updated_at: plan.now, ..before.clone() };
        Ok(ImportView::of(plan.write_consequence(Some(&before), after)))
    }
}

impl FirebaseHashing {
    /// As a part of the hashes' texts.
    fn text(self, checks: &mut Checks) -> Option<Secret> {
        // URLs' letters are not in what the console shows.
        let is_base64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        for (field, text) in [("signer_key", self.signer_key.expose()), ("salt_separator", &self.salt_separator)] {
            if text.is_empty() || text.len() > 200 || !is_base64(text) {
                checks.error(&format!("firebase.{field}"), Invalid::new(FieldCode::InvalidFormat, "is not base64"));
            }
        }
        let cost = format!("ln={},r={},p=1", self.memory_cost, self.rounds);
        Some(format!("{cost}${}${}", self.salt_separator, self.signer_key.expose()).into())
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::super::{digest_of, digest_text};

    #[test]
    fn a_digest_goes_on_where_it_was() {
        let whole = Sha256::digest(b"abc and so on, for more than one block of sixty-four bytes, which it is now");
        let mut digest = digest_of("").unwrap();
        digest.update(b"abc and so on, for more than one block");
        let mut digest = digest_of(&digest_text(&digest)).unwrap();
        digest.update(b" of sixty-four bytes, which it is now");
        assert_eq!(digest.finalize(), whole);
        assert!(digest_of("?").is_err() && digest_of("YWJj").is_err());
    }
}
