//! What becomes of one record: an account is made, or the one that is there is found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::candidate::Candidate;
use crate::{
    credentials::hashing,
    model::{
        check::{Checks, Invalid},
        decode::{self, FieldCode, FieldError},
        error::{Error, Reason, Result},
        group::Group,
        id::{GroupId, UserId},
        import::{ImportLevel, ImportOptions, ImportOutcome, OnExisting},
        names,
        record::ResourceRecord,
        registry::{Claim, Guard, Limit},
        text,
        user::{User, UserStatus, Visibility},
    },
    operations::{
        Visible, administrators, attributes, gone_names, groups, limits,
        plan::Plan,
        rights,
        target::TargetRow,
        users::{self, Fields, Made, NewUser, Past, ValidChange},
    },
    rules::RuleSet,
};

/// A valid record.
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) foreign_id: Option<String>,
    /// Under which name the source's claim is.
    key: Option<String>,
    pub(super) new: NewUser,
    /// What it becomes a member of, if it is made.
    groups: BTreeSet<GroupId>,
    visibility: Option<Visibility>,
    /// What was left out, as it is wrong.
    pub(super) left_out: Vec<FieldError>,
}

/// A record that made no account.
pub(super) struct Wrong {
    pub(super) foreign_id: Option<String>,
    pub(super) errors: Vec<FieldError>,
}

impl Row {
    /// Checks a record, and makes ours of what its roles are called.
    pub(super) fn of(
        number: i64,
        mut candidate: Candidate,
        options: &ImportOptions,
        plan: &Plan<'_>,
        ignored: &mut BTreeMap<String, i64>,
    ) -> Result<Result<Self, Wrong>> {
        let mut left_out = Vec::new();
        let fields = loop {
            let mut checks = candidate.checks.clone();
            let fields = check(&mut candidate, &mut checks, options, plan)?;
            if checks.is_empty() {
                break fields;
            }
            let errors = checks.into_told();
            let is_lenient = options.level == ImportLevel::Lenient;
            // Each time at least one is left out.
            let wrong: BTreeSet<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            if !is_lenient || !wrong.into_iter().all(|field| leave_out(&mut candidate, field, plan.rules())) {
                return Ok(Err(Wrong { foreign_id: candidate.foreign_id, errors }));
            }
            left_out.extend(errors);
        };
        let roles = ours(candidate.roles, &options.roles, "role", ignored);
        let groups = ours(candidate.groups, &options.groups, "group", ignored);
        candidate.ignored.iter().for_each(|name| note(ignored, name));
        let is_suspended = candidate.status == UserStatus::Suspended;
        let is_over = is_suspended && candidate.suspended_until.is_some_and(|until| until <= plan.now);
        let status = if is_over { UserStatus::Active } else { candidate.status };
        let has_reason = matches!(status, UserStatus::Suspended | UserStatus::Banned);
        let created_at = candidate.created_at.filter(|at| *at <= plan.now);
        if created_at.is_none() && candidate.created_at.is_some() {
            note(ignored, "created_at");
        }
        let past = Past {
            created_at,
            is_email_verified: candidate.is_email_verified && options.trust_verified_emails && fields.email.is_some(),
            status_reason: candidate.status_reason.filter(|_| has_reason),
            suspended_until: candidate.suspended_until.filter(|_| status == UserStatus::Suspended),
        };
        let email = fields.email.as_deref().map(names::email_key);
        let key = match (&candidate.foreign_id, email) {
            (Some(id), _) => Some(format!("id:{id}")),
            (None, email) => email.map(|email| format!("email:{email}")),
        };
        let new = NewUser {
            id: Some(plan.services.env.new_id()?),
            fields,
            password_hash: candidate.user.password_hash,
            is_imported: true,
            region: candidate.user.region,
            roles,
            status,
            identity: None,
            made: Made::ByCaller,
            past,
        };
        let visibility = candidate.user.visibility;
        Ok(Ok(Self { number, foreign_id: candidate.foreign_id, key, new, groups, visibility, left_out }))
    }

    fn name_key(&self, options: &ImportOptions) -> Option<(String, String)> {
        Some((Claim::of_import(&options.source), self.key.clone()?))
    }
}

/// What we call roles or groups of the source; those that the call does not name are counted.
fn ours<T: Clone, C: FromIterator<T>>(
    theirs: BTreeSet<String>,
    names: &BTreeMap<String, T>,
    what: &str,
    ignored: &mut BTreeMap<String, i64>,
) -> C {
    let mut ours = |name: String| {
        let known = names.get(&name).cloned();
        if known.is_none() {
            note(ignored, &format!("{what}:{name}"));
        }
        known
    };
    theirs.into_iter().filter_map(&mut ours).collect()
}

/// Notes what is wrong with a record; a hash of an unknown form may be left out.
fn check(candidate: &mut Candidate, checks: &mut Checks, options: &ImportOptions, plan: &Plan<'_>) -> Result<Fields> {
    if candidate.user.email.is_none() {
        checks.error("email", Invalid::new(FieldCode::Required, "an imported account has an e-mail address"));
    }
    if let Some(hash) = candidate.user.password_hash.take() {
        match hashing::read_foreign(&hash)? {
            Ok(read) => candidate.user.password_hash = Some(read),
            Err(_) if options.without_unknown_hashes => {}
            Err(invalid) => {
                checks.error("password_hash", invalid);
                candidate.user.password_hash = Some(hash);
            }
        }
    }
    let reason = candidate.status_reason.as_deref();
    if let Some(reason) = checks.optional("status_reason", reason, |reason| text::name(reason, 500)) {
        candidate.status_reason = Some(reason);
    }
    attributes::changed(checks, plan.rules(), User::TYPE, None, &candidate.user.attributes, false);
    candidate.user.check_fields(checks, plan.services, plan.now)
}

/// Leaves out a field that no account needs; false: one needs it. What the policy declares is needed: without it a denial may not apply.
fn leave_out(candidate: &mut Candidate, field: &str, rules: &RuleSet) -> bool {
    let user = &mut candidate.user;
    let is_declared = |name: &str| rules.member(User::TYPE, name, Json::Null).is_some();
    let was_there = match field {
        "username" => user.username.take().is_some(),
        "status_reason" => candidate.status_reason.take().is_some(),
        "full_name" => user.full_name.take().is_some(),
        "display_name" => user.display_name.take().is_some(),
        "first_name" => user.first_name.take().is_some(),
        "last_name" => user.last_name.take().is_some(),
        "phone" => user.phone.take().is_some(),
        "bio" => user.bio.take().is_some(),
        "location" => user.location.take().is_some(),
        "avatar_url" => user.avatar_url.take().is_some(),
        "website" => user.website.take().is_some(),
        "birth_date" => user.birth_date.take().is_some(),
        "visibility" => user.visibility.take().is_some(),
        "created_at" => candidate.created_at.take().is_some(),
        "attributes" if user.attributes.keys().any(|name| is_declared(name)) => return false,
        "attributes" => !std::mem::take(&mut user.attributes).is_empty(),
        _ => match field.strip_prefix("attributes.").filter(|name| !is_declared(name)) {
            Some(name) => user.attributes.remove(name).is_some(),
            None => return false,
        },
    };
    // One that was not there could not be read, and is told of by the record itself; all that is so is left out at once.
    let could_not_be_read = !was_there && !candidate.checks.is_empty();
    if could_not_be_read {
        candidate.unread = std::mem::take(&mut candidate.checks).into_told();
    }
    was_there || could_not_be_read || candidate.unread.iter().any(|error| error.field == field)
}

/// Counts a field that nothing is made of; of many the first hundred.
pub(super) fn note(ignored: &mut BTreeMap<String, i64>, name: &str) {
    const MOST: usize = 100;
    let name = decode::shown(name);
    if ignored.len() < MOST || ignored.contains_key(&name) {
        *ignored.entry(name).or_default() += 1;
    }
}

/// Reads all that the records of a piece need, in a few calls; the names by which they find accounts.
pub(super) async fn read_ahead(
    rows: &[Row],
    options: &ImportOptions,
    plan: &Plan<'_>,
) -> Result<Vec<(String, String)>> {
    let mut claims = Vec::new();
    let (mut guards, mut lanes) = (Vec::new(), Vec::new());
    for row in rows {
        if let Some((kind, name)) = row.name_key(options) {
            claims.extend(gone_names::gone(plan.services, &kind, &name)?.map(|gone| (gone.kind, gone.name)));
            claims.push((kind, name));
        }
        let names = [(Claim::EMAIL, &row.new.fields.email), (Claim::USERNAME, &row.new.fields.username)];
        for (kind, name) in names.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?))) {
            claims.extend(plan.keys_of_name(kind, name)?);
        }
        if let Some(id) = row.new.id {
            guards.push((Guard::of_user(id),));
            if row.new.password_hash.is_some() {
                let fields = &row.new.fields;
                let names = [&fields.email, &fields.username].into_iter().flatten().map(String::as_str);
                lanes.extend(limits::lanes_of(plan.services, id, names)?);
            }
        }
    }
    plan.read_ahead::<Claim>(claims.clone()).await?;
    plan.read_ahead::<Guard>(guards).await?;
    let groups: BTreeSet<GroupId> = rows.iter().flat_map(|row| row.groups.iter().copied()).collect();
    plan.read_ahead::<Group>(groups.into_iter().map(|group| (group,)).collect()).await?;
    plan.read_ahead::<Limit>(lanes.into_iter().map(|lane| (lane,)).collect()).await?;
    plan.read_ahead::<User>(owners(claims.clone(), plan).await?).await?;
    Ok(claims)
}

/// Who is there already, by these names.
pub(super) async fn owners(names: Vec<(String, String)>, plan: &Plan<'_>) -> Result<Vec<(UserId,)>> {
    let known: Vec<Claim> = plan.reads().many(names).await?;
    let owners = known.iter().filter(|claim| Claim::is_of_import(&claim.kind) || claim.kind == Claim::EMAIL);
    Ok(owners.filter_map(|claim| Some((claim.owner.parse().ok()?,))).collect())
}

/// Why a record fails whose account is there.
pub(super) fn is_there() -> Error {
    Error::new(Reason::Taken, "the account of this record exists already")
}

/// Plans what becomes of one record. It fails, without an error of its own, where the account is there and should not be.
pub(super) async fn apply(
    row: &Row,
    options: &ImportOptions,
    plan: &mut Plan<'_>,
) -> Result<(ImportOutcome, Option<UserId>)> {
    let name_key = row.name_key(options);
    let known = match &name_key {
        Some(key) => {
            let claim = plan.reads().get::<Claim>(key).await?;
            plan.rely_on_row(key, claim.as_ref());
            claim
        }
        None => None,
    };
    if let Some(known) = known {
        let id: Option<UserId> = known.owner.parse().ok();
        let user = match id {
            Some(id) => plan.reads().get::<User>(&(id,)).await?,
            None => None,
        };
        return match user.filter(|user| user.status != UserStatus::Deleted) {
            Some(user) => existing(row, options, user, plan).await,
            None => gone(plan),
        };
    }
    if let Some((kind, name)) = &name_key
        && let Some(gone) = gone_names::gone(plan.services, kind, name)?
    {
        let key = (gone.kind, gone.name);
        let gone = plan.reads().get::<Claim>(&key).await?;
        plan.rely_on_row(&key, gone.as_ref());
        if gone.is_some() {
            return self::gone(plan);
        }
    }
    if let Some(email) = row.new.fields.email.as_deref().filter(|_| options.match_email)
        && let Some(user) = proved_owner(row, email, plan).await?
    {
        administrators::require_may_act_as(plan, user.id).await?;
        // Neither its address nor itself goes meanwhile.
        plan.check(&user);
        take(name_key, user.id, plan);
        return existing(row, options, user, plan).await;
    }
    create(row, plan).await?;
    let id = row.new.id.ok_or_else(|| Error::new(Reason::Internal, "a record has no id"))?;
    take(name_key, id, plan);
    Ok((ImportOutcome::Created, Some(id)))
}

/// The account that has an address which is proved both here and at the source.
async fn proved_owner(row: &Row, email: &str, plan: &Plan<'_>) -> Result<Option<User>> {
    let Some(holder) = plan.holder(Claim::EMAIL, email).await? else { return Ok(None) };
    let Ok(id) = holder.parse::<UserId>() else { return Ok(None) };
    let user = plan.reads().get::<User>(&(id,)).await?;
    let is_proved = |user: &User| user.email_verified && user.status != UserStatus::Deleted;
    Ok(user.filter(is_proved).filter(|_| row.new.past.is_email_verified))
}

fn take(name_key: Option<(String, String)>, owner: UserId, plan: &mut Plan<'_>) {
    if let Some((kind, name)) = name_key {
        plan.write_consequence(None, Claim { kind, name, owner: owner.to_string(), held_until: None, version: 0 });
    }
}

/// Of an account that is deleted, for whoever may see all of them.
fn gone(plan: &Plan<'_>) -> Result<(ImportOutcome, Option<UserId>)> {
    let is_told = plan.may_everywhere(User::READ)?;
    Ok((if is_told { ImportOutcome::Gone } else { ImportOutcome::Failed }, None))
}

/// What becomes of an account that is there.
async fn existing(
    row: &Row,
    options: &ImportOptions,
    user: User,
    plan: &mut Plan<'_>,
) -> Result<(ImportOutcome, Option<UserId>)> {
    // Of an account that the caller may not see no more is told than where one is made.
    if !plan.may(User::READ, &TargetRow::of(&user)).await? {
        return Ok((ImportOutcome::Failed, None));
    }
    let id = Some(user.id);
    let given = row.new.fields.email.as_deref().map(names::email_key);
    let has_moved = given.is_some() && given != user.email.as_deref().map(names::email_key);
    match options.on_existing {
        OnExisting::Fail => Ok((ImportOutcome::Failed, id)),
        _ if has_moved => Ok((ImportOutcome::Differs, id)),
        OnExisting::Skip => Ok((ImportOutcome::Skipped, id)),
        OnExisting::Update => {
            rights::require_target(plan, "user:update", &TargetRow::of(&user), User::READ).await?;
            let before = user.clone();
            let change = ValidChange::of_person(row.new.fields.clone(), row.visibility);
            let (after, _) = change.plan(user, plan).await?;
            let outcome = if after == before { ImportOutcome::Skipped } else { ImportOutcome::Updated };
            Ok((outcome, id))
        }
    }
}

/// Plans a new account, where the caller may say all that is said of it.
async fn create(row: &Row, plan: &mut Plan<'_>) -> Result<()> {
    let new = &row.new;
    let defaults = plan.rules().default_roles();
    let gives = new.roles.iter().any(|role| !defaults.contains(&role.as_str()));
    let is_dated = new.past.created_at.is_some() && rights::carries_authority(plan.rules(), User::TYPE, "created_at");
    if new.password_hash.is_some() || new.past.is_email_verified || gives || is_dated {
        plan.require_administrator()?;
    }
    let mut checks = Checks::default();
    users::check_roles(&mut checks, plan.rules(), &new.roles);
    checks.finish()?;
    let user = users::insert(new, plan).await?;
    if !matches!(user.status, UserStatus::Active | UserStatus::Inactive) {
        rights::require_after(plan, "user:set_status", None, &user).await?;
    }
    groups::add_new(plan, &user, &row.groups).await
}
