//! What was so after each commit, found in the rows by the shortest way: the reference of the laws.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rolekeep::{
    ChangeSetId, Resource, SessionId, Time, UserId, Value,
    internals::{
        api_key::{ApiKey, ApiKeyUse},
        credential::{Challenge, Credential},
        notice::PendingNotice,
        policy::RoleRow,
        record::Record,
        registry::{DoneRequest, Guard},
        session::{Session, SessionActivity},
        user::User,
    },
    roles::RoleAssignment,
    scopes::ScopeRow,
    storage::{ChangeSet, Key, LanePosition, MemoryStorage, Position, Predicate, Query, Row, Storage, Table, Write},
    users::UserStatus,
};

use crate::{
    common::block_on,
    factors,
    notices::{Sent, Told},
    world::TaskId,
};

/// What a caller may hear when it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    Allowed,
    Denied,
    /// Its user may not sign in, or its session has ended.
    Ended,
}

/// What was so after one commit.
pub struct Moment {
    /// Its number.
    pub position: u64,
    /// When it came, in microseconds that passed.
    at: u64,
    place: Option<LanePosition>,
    /// The task that committed; none: it was there before.
    pub owner: Option<TaskId>,
    change: Option<ChangeSetId>,
    touched: Vec<Subject>,
    /// The key of the request that was done by it.
    done: Option<String>,
    /// What each role gives.
    roles: BTreeMap<String, Vec<&'static str>>,
    /// Whether the project lies in the country.
    lies_there: bool,
    held: BTreeSet<(UserId, String)>,
    active: BTreeSet<UserId>,
    /// Those that are alive, and keys.
    sessions: BTreeSet<SessionId>,
    /// Whose sessions they are.
    users: Vec<UserId>,
    /// The hash of each password.
    hashes: BTreeMap<UserId, String>,
}

/// What an answer depends on, each kept by an instance for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Policy,
    User(UserId),
    Session(SessionId),
}

/// Since which commit each subject counts for certain.
#[derive(Clone, Default)]
pub struct Floors {
    all: u64,
    of: BTreeMap<Subject, u64>,
}

impl Floors {
    /// Everything up to here counts.
    pub fn raise_all(&mut self, position: u64) {
        self.all = self.all.max(position);
    }

    fn of(&self, subject: Subject) -> u64 {
        self.of.get(&subject).map_or(self.all, |floor| self.all.max(*floor))
    }
}

/// Every moment, in order.
#[derive(Default)]
pub struct History {
    pub moments: Vec<Moment>,
    /// Who tried to sign in, when, and whether it failed, in the order in which that was committed; none: what failed before
    /// is forgotten.
    tries: Vec<(String, i64, Option<bool>)>,
    told: Told,
    sent: Arc<Sent>,
    /// When those notices are due that wait.
    due: Vec<Time>,
    /// The first law of second factors that the rows broke.
    pub unproved: Option<String>,
    /// The first notice that went without a word.
    pub untold: Option<String>,
}

/// The time of sign-ins that fail, in seconds: more than any step of a clock.
pub const TRIES_SECONDS: i64 = 24 * 3600;

/// What is asked about.
pub const PERMISSIONS: [&str; 5] = ["document:edit", "document:read", "user:read", "user:update", INSPECT];

/// Asked about a site of the project: held in the country, where the project lies or not.
const INSPECT: &str = "site:inspect";
pub const PROJECT: &str = "project:dam";
pub const COUNTRY: &str = "country:at";
pub const OTHER_COUNTRY: &str = "country:it";

/// What a permission is asked about.
pub fn about(permission: &str) -> Option<Resource<'static>> {
    (permission == INSPECT).then(|| Resource::of("site").with("project", "dam").with("country", None::<&str>))
}

fn rows(memory: &MemoryStorage, table: &'static Table) -> Vec<Row> {
    block_on(memory.query(&Query::of(table, Predicate::Always))).unwrap().rows
}

pub fn all<R: Record>(memory: &MemoryStorage) -> Vec<R> {
    rows(memory, R::TABLE).into_iter().map(|row| R::from_row(row).unwrap()).collect()
}

impl History {
    pub fn begin(memory: &MemoryStorage, sent: Arc<Sent>) -> Self {
        let mut history = Self { sent, ..Self::default() };
        let place = block_on(memory.position()).unwrap().lane(0);
        history.moments.push(Moment::now(memory, 0, place, None, None));
        history
    }

    /// What a change set writes, in short.
    pub fn name(change_set: &ChangeSet) -> String {
        let actions: Vec<&str> = change_set.audit.iter().map(|entry| entry.action.as_str()).collect();
        let keys = |key: &Key| key.0.iter().map(short).collect::<Vec<_>>().join(" ");
        let writes: Vec<String> =
            change_set.writes.iter().map(|write| format!("{} {}", write.table.name, keys(&write.key))).collect();
        format!("{} ({})", actions.join(", "), writes.join("; "))
    }

    pub fn record(
        &mut self,
        memory: &MemoryStorage,
        at: u64,
        place: LanePosition,
        owner: TaskId,
        change_set: &ChangeSet,
    ) {
        // That a session or a key is used is noted beside whatever is asked for.
        let notes = [SessionActivity::TABLE.name, ApiKeyUse::TABLE.name];
        let is_note = change_set.writes.iter().all(|write| notes.contains(&write.table.name));
        let owner = Some(owner).filter(|_| !is_note);
        self.moments.push(Moment::now(memory, at, Some(place), owner, Some(change_set)));
        self.unproved = self.unproved.take().or_else(|| factors::broken(memory));
        let untold = self.told.record(change_set, &self.sent);
        self.untold = self.untold.take().or(untold);
        self.due = all::<PendingNotice>(memory).into_iter().map(|notice| notice.due_at).collect();
        for entry in &change_set.audit {
            // What is taken by a challenge is limited otherwise.
            let by_challenge = change_set.writes.iter().any(|write| write.table.name == Challenge::TABLE.name);
            let is_failure = match entry.action.as_str() {
                "sessions.login" if by_challenge => continue,
                "sessions.login_step" => Some(false),
                "sessions.login_failed" => Some(true),
                "sessions.login" => Some(false),
                "passwords.reset" => None,
                _ => continue,
            };
            self.tries.push((entry.target_id.clone().unwrap(), change_set.at.as_microsecond(), is_failure));
        }
    }

    /// The first sign-in, whatever came of it, that was answered when there was no room for it.
    pub fn overrun(&self, tries: u32) -> Option<String> {
        let period = TRIES_SECONDS * 1_000_000;
        let interval = period / i64::from(tries);
        let mut arrivals: BTreeMap<&str, i64> = BTreeMap::new();
        self.tries.iter().find_map(|(user, at, is_failure)| {
            let Some(is_failure) = is_failure else {
                arrivals.remove(user.as_str());
                return None;
            };
            let next = arrivals.get(user.as_str()).map_or(*at, |known| *at.max(known)) + interval;
            if next > at + period {
                return Some(format!(
                    "a sign-in of {user} at {at} was answered beyond the limit, failed: {is_failure}"
                ));
            }
            if *is_failure {
                arrivals.insert(user, next);
            }
            None
        })
    }

    /// How many notices wait that are due.
    pub fn due(&self, now: Time) -> usize {
        self.due.iter().filter(|due| **due <= now).count()
    }

    pub fn newest(&self) -> u64 {
        self.moments.last().map_or(0, |moment| moment.position)
    }

    /// The newest commit from before that time.
    pub fn newest_before(&self, time: u64) -> u64 {
        let end = self.moments.partition_point(|moment| moment.at < time);
        self.moments[..end].last().map_or(0, |moment| moment.position)
    }

    /// Where a change stands, if it took place.
    pub fn position_of(&self, change: ChangeSetId) -> Option<u64> {
        self.moments.iter().find(|moment| moment.change == Some(change)).map(|moment| moment.position)
    }

    /// The changes by which a request with a key was done.
    pub fn done_by(&self, key: &str) -> Vec<ChangeSetId> {
        let moments = self.moments.iter().filter(|moment| moment.done.as_deref() == Some(key));
        moments.filter_map(|moment| moment.change).collect()
    }

    /// The position that has reached this moment.
    pub fn reached(&self, position: u64) -> Position {
        let moment = self.moments.iter().find(|moment| moment.position == position);
        moment.and_then(|moment| moment.place).into_iter().collect()
    }

    /// The commits of a task.
    pub fn of(&self, owner: TaskId) -> impl Iterator<Item = u64> {
        self.moments.iter().filter(move |moment| moment.owner == Some(owner)).map(|moment| moment.position)
    }

    /// A commit counts: whatever it touched is not asked about by what was so before.
    pub fn raise(&self, floors: &mut Floors, position: u64) {
        for subject in self.moments.iter().filter(|one| one.position == position).flat_map(|one| &one.touched) {
            let floor = floors.of.entry(*subject).or_default();
            *floor = position.max(*floor);
        }
    }

    /// What may be answered: by anything that was so of each subject since it counts.
    pub fn answers(
        &self,
        floors: &Floors,
        user: UserId,
        session: Option<SessionId>,
        permission: &'static str,
    ) -> BTreeSet<Answer> {
        let since = |subject| {
            let floor = floors.of(subject);
            let begin = self.moments.partition_point(|moment| moment.position < floor);
            // What a subject is stays until the next commit that touches it; asking the others again costs little.
            &self.moments[begin..]
        };
        let mut answers = BTreeSet::new();
        let sessions = session.map(|session| (session, since(Subject::Session(session))));
        if sessions.is_some_and(|(session, moments)| moments.iter().any(|one| !one.sessions.contains(&session))) {
            answers.insert(Answer::Ended);
        }
        if sessions.is_some_and(|(session, moments)| moments.iter().all(|one| !one.sessions.contains(&session))) {
            return answers;
        }
        let policies: BTreeSet<_> = since(Subject::Policy).iter().map(|one| (&one.roles, one.lies_there)).collect();
        for moment in since(Subject::User(user)) {
            if !moment.active.contains(&user) {
                answers.insert(Answer::Ended);
                continue;
            }
            for policy in &policies {
                let is_allowed = moment.gives(*policy, user, permission);
                answers.insert(if is_allowed { Answer::Allowed } else { Answer::Denied });
            }
        }
        answers
    }
}

impl Moment {
    fn now(
        memory: &MemoryStorage,
        at: u64,
        place: Option<LanePosition>,
        owner: Option<TaskId>,
        by: Option<&ChangeSet>,
    ) -> Self {
        let roles = all::<RoleRow>(memory).into_iter().map(|role| {
            let says = serde_json::to_string(&role.grants.0).unwrap();
            let gives = |permission: &&str| says.contains(&format!("\"{permission}\"")) || says.contains("admin:all");
            (role.name, PERMISSIONS.into_iter().filter(gives).collect())
        });
        let active = all::<User>(memory).into_iter().filter(|user| user.status == UserStatus::Active);
        let guards = all::<Guard>(memory);
        let ended = |name: &str| guards.iter().find(|guard| guard.name == name).map(|guard| guard.version);
        let (era, key_era) = (ended(Guard::SESSIONS), ended(Guard::API_KEYS));
        let alive = all::<Session>(memory).into_iter().filter(|one| one.ended_at.is_none() && one.era >= era);
        let (mut sessions, users): (BTreeSet<_>, _) = alive.map(|session| (session.id, session.user_id)).unzip();
        let keys = all::<ApiKey>(memory).into_iter().filter(|key| key.ended_at.is_none() && key.era >= key_era);
        sessions.extend(keys.map(|key| SessionId(key.id.0)));
        let hash = |one: Credential| Some((one.user_id, one.password_hash?.expose().to_owned()));
        Self {
            position: place.map_or(0, |place| place.number),
            at,
            place,
            owner,
            change: by.map(|change_set| change_set.id),
            touched: by.map(|by| subjects(memory, by)).unwrap_or_default(),
            done: by.and_then(key_of),
            roles: roles.collect(),
            lies_there: all::<ScopeRow>(memory)
                .iter()
                .any(|row| row.scope == PROJECT && row.parent.as_deref() == Some(COUNTRY)),
            held: all::<RoleAssignment>(memory).into_iter().map(|held| (held.user_id, held.role)).collect(),
            active: active.map(|user| user.id).collect(),
            sessions,
            users,
            hashes: all::<Credential>(memory).into_iter().filter_map(hash).collect(),
        }
    }

    pub fn is_active(&self, user: UserId) -> bool {
        self.active.contains(&user)
    }

    pub fn hash_of(&self, user: UserId) -> Option<&str> {
        self.hashes.get(&user).map(String::as_str)
    }

    /// How many sessions a user has.
    pub fn sessions_of(&self, user: UserId) -> usize {
        self.users.iter().filter(|one| **one == user).count()
    }

    fn gives(&self, (roles, lies_there): (&BTreeMap<String, Vec<&str>>, bool), user: UserId, permission: &str) -> bool {
        if permission == INSPECT && !lies_there {
            return false;
        }
        let held = self.held.iter().filter(|(holder, _)| *holder == user);
        held.filter_map(|(_, role)| roles.get(role)).any(|gives| gives.contains(&permission))
    }

    /// What was answered at this moment.
    pub fn answer(&self, user: UserId, session: Option<SessionId>, permission: &str) -> Answer {
        if !self.active.contains(&user) || session.is_some_and(|session| !self.sessions.contains(&session)) {
            return Answer::Ended;
        }
        if self.gives((&self.roles, self.lies_there), user, permission) { Answer::Allowed } else { Answer::Denied }
    }
}

/// The key of the request that a change set does.
fn key_of(change_set: &ChangeSet) -> Option<String> {
    let done = change_set.writes.iter().find(|write| write.table.name == DoneRequest::TABLE.name)?;
    done.key.0.last().and_then(Value::as_text).map(str::to_owned)
}

/// What the rows of a change set are about.
fn subjects(memory: &MemoryStorage, change_set: &ChangeSet) -> Vec<Subject> {
    let of_row = |(table, key): (&Table, &Key)| match (table.name, &key.0[0]) {
        (name, _) if [RoleRow::TABLE.name, ScopeRow::TABLE.name].contains(&name) => Some(Subject::Policy),
        (name, Value::Id(id)) if [User::TABLE.name, RoleAssignment::TABLE.name].contains(&name) => {
            Some(Subject::User(UserId(*id)))
        }
        (name, Value::Id(id)) if [Session::TABLE.name, ApiKey::TABLE.name].contains(&name) => {
            Some(Subject::Session(SessionId(*id)))
        }
        _ => None,
    };
    let of_everybody = |write: &Write| match write.key.0[0].as_text() {
        Some(Guard::SESSIONS) => all::<Session>(memory).into_iter().map(|one| one.id).collect(),
        Some(Guard::API_KEYS) => all::<ApiKey>(memory).into_iter().map(|key| SessionId(key.id.0)).collect(),
        _ => Vec::new(),
    };
    let guards = change_set.writes.iter().filter(|write| write.table.name == Guard::TABLE.name);
    let of_everybody = guards.flat_map(of_everybody).map(Subject::Session);
    change_set.writes.iter().filter_map(|write| of_row((write.table, &write.key))).chain(of_everybody).collect()
}

fn short(value: &Value) -> String {
    match value {
        Value::Id(id) => id.to_string()[30..].to_owned(),
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}
