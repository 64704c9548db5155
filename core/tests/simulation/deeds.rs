//! What callers do, and the laws that hold when they are answered.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Mutex},
};

use rolekeep::{
    Caller, ChangeSetId, Error, Reason, RequestContext, SessionId, UserId, UserManagement,
    roles::{AssignRole, CreateRole, DeleteRole, NewGrant, UnassignRole, UpdateRole},
    scopes::MoveScope,
    sessions::RevokeAllSessions,
    users::{ActivateUser, CreateUser, DeactivateUser, LiftUser, SuspendUser, UpdateUser},
};

use crate::{
    factors,
    history::{Answer, COUNTRY, Floors, History, OTHER_COUNTRY, PERMISSIONS, PROJECT, about},
    identities::Known,
    notices,
    world::World,
};

/// A caller that somebody keeps.
#[derive(Clone)]
pub struct Held {
    pub user: UserId,
    pub session: Option<SessionId>,
    pub caller: Caller,
}

/// A user's session, and a token of it.
#[derive(Clone)]
pub struct SignIn {
    pub user: UserId,
    pub session: SessionId,
    pub token: String,
}

/// One of the instances over the same rows.
pub struct Instance {
    pub um: UserManagement,
    pub is_shared: bool,
    /// Whether it is told of others' commits.
    pub hears: bool,
    pub held: RefCell<Vec<Held>>,
    /// What counts here for certain: acknowledged here, or caught up with.
    pub floors: RefCell<Floors>,
}

/// A request that is sent under a key, perhaps again and again.
#[derive(Clone, Debug)]
pub struct Keyed {
    key: String,
    user: UserId,
    role: &'static str,
    gives: bool,
}

/// What somebody signs in by: hashing is dear, so that few seeds do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Proves {
    Passwords,
    Factors,
}

/// How old rights in memory are at most, in microseconds: the default of `rights_max_age_millis`.
const MAX_AGE: u64 = 1_000_000;

/// What all callers of one seed share.
pub struct Stage {
    pub world: Arc<World>,
    pub history: Arc<Mutex<History>>,
    pub instances: Vec<Instance>,
    pub users: Vec<UserId>,
    pub sign_ins: Vec<SignIn>,
    /// Keys, each as the session that it is to the laws.
    pub keys: RefCell<Vec<SignIn>>,
    pub broken: RefCell<Option<String>>,
    /// Changes of which nobody knew whether they took place.
    pub unknown: RefCell<Vec<ChangeSetId>>,
    /// Requests that were sent under a key.
    pub keyed: RefCell<Vec<Keyed>>,
    pub identities: Known,
    /// What was mailed.
    pub sent: Arc<notices::Sent>,
    pub kept: factors::Kept,
    /// How many answers were compared.
    pub answers: Cell<u64>,
    /// What is proved and changed beside, if anything.
    pub proves: Option<Proves>,
}

impl Instance {
    /// What this instance has looked for. Where nobody else writes it looks for nothing: what counts is
    /// what was acknowledged.
    fn caught_up(&self, position: u64) {
        if self.is_shared {
            self.floors.borrow_mut().raise_all(position);
        }
    }
}

impl Stage {
    pub fn newest(&self) -> u64 {
        self.history.lock().unwrap().newest()
    }

    pub fn break_law(&self, law: String) {
        self.world.tell(|| format!("BROKEN: {law}"));
        self.broken.borrow_mut().get_or_insert(law);
    }

    /// Whoever holds a caller hears what was so at the floor or later. Once all is quiet it hears it for certain.
    pub fn look(&self, at: usize, is_quiet: bool) {
        let instance = &self.instances[at];
        if instance.is_shared {
            let time = self.world.elapsed().saturating_sub(MAX_AGE);
            instance.caught_up(self.history.lock().unwrap().newest_before(time));
        }
        for held in instance.held.borrow().iter() {
            for permission in PERMISSIONS {
                let answer = match held.caller.can(permission, about(permission).as_ref()) {
                    Ok(true) => Answer::Allowed,
                    Ok(false) => Answer::Denied,
                    Err(error)
                        if matches!(
                            error.reason(),
                            Reason::SessionEnded | Reason::AccountInactive | Reason::InvalidToken
                        ) =>
                    {
                        Answer::Ended
                    }
                    Err(error) if !is_quiet && matches!(error.reason(), Reason::NotLoaded | Reason::RightsStale) => {
                        continue;
                    }
                    Err(error) => return self.break_law(format!("instance {at} answers {permission} with {error:?}")),
                };
                self.answers.set(self.answers.get() + 1);
                let floors = instance.floors.borrow();
                let right = self.history.lock().unwrap().answers(&floors, held.user, held.session, permission);
                if !right.contains(&answer) {
                    let (user, session) = (held.user, held.session.map(|session| session.to_string()));
                    return self.break_law(format!(
                        "instance {at} answers {answer:?} to {permission} of {user} (session {session:?}), \
                         and only {right:?} can be right"
                    ));
                }
            }
        }
    }

    pub fn require_known(&self, deed: &str, error: &Error) {
        if matches!(error.reason(), Reason::Internal | Reason::Corrupt) {
            self.break_law(format!("{deed}: {error:?}"));
        }
    }

    /// A change, and what its answer promises.
    async fn change(&self, at: usize) {
        let (world, instance) = (&self.world, &self.instances[at]);
        let task = world.current();
        let begin = self.newest();
        let asks = !instance.hears;
        let user = *world.pick(&self.users);
        let role = *world.pick(&["editor", "clerk"]);
        let system = instance.um.system();
        let mut asking = None;
        let (deed, result) = match world.below(25) {
            // The same again: the answer was lost, its sender gave up, or it came through twice.
            13..16 => {
                let Keyed { key, user, role, gives } = self.keyed(user, role);
                world.tell(|| format!("instance {at}: by {key} give or take {gives} {role} {user}"));
                let context = RequestContext::default().idempotency_key(key.as_str());
                let roles = system.with_request(context);
                let result = match gives {
                    true => roles.roles().assign(AssignRole::new(user, role)).await.map(drop),
                    false => roles.roles().unassign(UnassignRole::new(user, role)).await.map(drop),
                };
                self.require_once(&key, &result);
                ("do it once", result)
            }
            0 | 1 => {
                world.tell(|| format!("instance {at}: assign {role} to {user}"));
                ("assign", system.roles().assign(AssignRole::new(user, role)).await.map(drop))
            }
            2 | 3 => {
                world.tell(|| format!("instance {at}: unassign {role} from {user}"));
                ("unassign", system.roles().unassign(UnassignRole::new(user, role)).await.map(drop))
            }
            4 => {
                world.tell(|| format!("instance {at}: deactivate {user}"));
                ("deactivate", system.users().deactivate(DeactivateUser::new(user)).await.map(drop))
            }
            5 => {
                world.tell(|| format!("instance {at}: activate {user}"));
                ("activate", system.users().activate(ActivateUser::new(user)).await.map(drop))
            }
            6 => {
                world.tell(|| format!("instance {at}: suspend {user}"));
                ("suspend", system.users().suspend(SuspendUser::new(user)).await.map(drop))
            }
            7 => {
                world.tell(|| format!("instance {at}: lift {user}"));
                ("lift", system.users().lift(LiftUser::new(user)).await.map(drop))
            }
            8 => {
                let more = if world.chance(50) { &["document:edit"][..] } else { &[] };
                let names = [more, &["user:update", "user:read"]].concat();
                world.tell(|| format!("instance {at}: editor may {names:?}"));
                let grants: Vec<_> = names.iter().map(|name| NewGrant::new(*name)).collect();
                let edit = UpdateRole::new("editor").grants(grants);
                ("edit the role", system.roles().update(edit).await.map(drop))
            }
            9 => {
                world.tell(|| format!("instance {at}: end all sessions of {user}"));
                let all = RevokeAllSessions::new().user_id(user).revoke_keys(world.chance(50));
                ("revoke", system.sessions().revoke_all(all).await.map(drop))
            }
            10 => {
                world.tell(|| format!("instance {at}: delete the role clerk, whoever holds it"));
                let delete = DeleteRole::new("clerk").force(true);
                ("delete the role", system.roles().delete(delete).await.map(drop))
            }
            11 => {
                world.tell(|| format!("instance {at}: create the role clerk"));
                let role = CreateRole::new("clerk").grants([NewGrant::new("document:read")]);
                ("create the role", system.roles().create(role).await.map(drop))
            }
            12 => {
                let name = format!("new{}@example.org", world.below(1 << 40));
                world.tell(|| format!("instance {at}: create {name}"));
                let created = system.users().create(CreateUser::new(name).roles([role])).await;
                if created.is_ok() && self.history.lock().unwrap().of(task).all(|one| one <= begin) {
                    self.break_law("an account was acknowledged and not written".to_owned());
                }
                ("create", created.map(drop))
            }
            23 | 24 => {
                let to = *world.pick(&[Some(COUNTRY), Some(COUNTRY), Some(OTHER_COUNTRY), None]);
                world.tell(|| format!("instance {at}: the project lies in {to:?}"));
                let to = to.into_iter().fold(MoveScope::new(PROJECT), |project, country| project.parent(country));
                ("move the project", system.scopes().move_to(to).await.map(drop))
            }
            16 => ("come first", self.come_first(at).await),
            17 => ("come with a token", self.come_by_token(at).await),
            18 | 19 => ("make a key", self.make_key(at, user).await),
            20 => ("end a key", self.end_key(at, user).await),
            21 if world.chance(20) => ("end everybody's", self.end_everybodys(at).await),
            _ => {
                let held = world.pick(&instance.held.borrow()[..]).clone();
                world.tell(|| format!("instance {at}: {} renames {user}", held.user));
                let change = UpdateUser::new(user).full_name(format!("name {}", world.below(1 << 40)));
                let result = held.caller.users().update(change).await.map(drop);
                asking = Some(held);
                ("rename", result)
            }
        };
        let own: Vec<u64> = self.history.lock().unwrap().of(task).filter(|one| *one > begin).collect();
        match result {
            Ok(()) => {
                world.tell(|| format!("{deed} is acknowledged"));
                // Where it is told of news an operation asks for none: what counts is how old they may be.
                if asks {
                    instance.caught_up(begin);
                }
                let history = self.history.lock().unwrap();
                own.iter().for_each(|position| history.raise(&mut instance.floors.borrow_mut(), *position));
                drop(history);
                self.require_right_to_write(asking, &own);
            }
            Err(error) => {
                world.tell(|| format!("{deed} is refused: {}", error.reason()));
                self.require_known(deed, &error);
                if let Some(change) = error.change_id().filter(|_| error.reason() == Reason::OutcomeUnknown) {
                    self.unknown.borrow_mut().push(change);
                }
                // A reason that says that nothing was written.
                if error.reason() != Reason::OutcomeUnknown && !own.is_empty() {
                    self.break_law(format!("{deed} failed ({error:?}), and commit {own:?} is there"));
                }
            }
        }
    }

    /// A new request under a key, or one that was sent before.
    fn keyed(&self, user: UserId, role: &'static str) -> Keyed {
        let mut keyed = self.keyed.borrow_mut();
        if self.world.chance(40) || keyed.is_empty() {
            let (key, gives) = (format!("key-{}", keyed.len()), self.world.chance(50));
            keyed.push(Keyed { key, user, role, gives });
            return keyed[keyed.len() - 1].clone();
        }
        self.world.pick(&keyed[..]).clone()
    }

    /// What has a key is written once at most, is there when it is acknowledged, and is told of by its own change.
    fn require_once(&self, key: &str, result: &Result<(), Error>) {
        let history = self.history.lock().unwrap();
        let done = history.done_by(key);
        let told = match result {
            Ok(()) if done.is_empty() => Some("was acknowledged and not written"),
            Err(error) if error.reason() == Reason::AlreadyDone && error.change_id().is_none_or(|id| done != [id]) => {
                Some("is said to be done by another change")
            }
            Err(error) if error.reason() == Reason::IdempotencyKeyReused => Some("is said to be another request"),
            _ => None,
        };
        let told = told.or((done.len() > 1).then_some("was done twice"));
        drop(history);
        if let Some(told) = told {
            self.break_law(format!("what was asked by {key} {told}"));
        }
    }

    /// Who lost the right before the commit does not write.
    fn require_right_to_write(&self, asking: Option<Held>, own: &[u64]) {
        let (Some(held), Some(position)) = (asking, own.first()) else { return };
        let history = self.history.lock().unwrap();
        let before = history.moments.iter().rev().find(|moment| moment.position < *position);
        let answer = before.map(|moment| moment.answer(held.user, held.session, "user:update"));
        if answer != Some(Answer::Allowed) {
            drop(history);
            self.break_law(format!("{} wrote commit {position}, for which it was {answer:?}", held.user));
        }
    }

    /// Whoever may write can: no rights are so old that every commit on them is refused.
    async fn require_usable(&self, at: usize) {
        let held = self.instances[at].held.borrow().clone();
        for held in held.into_iter().filter(|held| held.caller.can("user:update", None).is_ok_and(|may| may)) {
            let change = UpdateUser::new(held.user).full_name(format!("name {}", self.world.below(1 << 40)));
            if let Err(error) = held.caller.users().update(change).await {
                self.break_law(format!("instance {at}: {} may write and cannot: {error:?}", held.user));
            }
        }
    }

    /// An operation that only reads is decided by rights that are as old as they may be.
    async fn read(&self, at: usize, begin: u64) {
        let instance = &self.instances[at];
        let held = self.world.pick(&instance.held.borrow()[..]).clone();
        let mut floors = instance.floors.borrow().clone();
        if instance.is_shared {
            let time = self.world.elapsed().saturating_sub(MAX_AGE);
            let counts = if instance.hears { self.history.lock().unwrap().newest_before(time) } else { begin };
            floors.raise_all(counts);
        }
        let other = self.users.iter().find(|user| **user != held.user).copied().unwrap_or(held.user);
        let answer = match held.caller.users().get(other).await {
            Ok(_) => Answer::Allowed,
            // Who may not know of somebody finds nobody.
            Err(error) if matches!(error.reason(), Reason::Denied | Reason::NotFound) => Answer::Denied,
            Err(error)
                if matches!(error.reason(), Reason::SessionEnded | Reason::AccountInactive | Reason::InvalidToken) =>
            {
                Answer::Ended
            }
            Err(error) => return self.require_known("read", &error),
        };
        let right = self.history.lock().unwrap().answers(&floors, held.user, held.session, "user:read");
        if !right.contains(&answer) {
            self.break_law(format!("instance {at}: {} reads and is answered {answer:?}, not {right:?}", held.user));
        }
    }

    async fn ask(&self, at: usize) {
        let (world, instance) = (&self.world, &self.instances[at]);
        let begin = self.newest();
        match world.below(5) {
            0 => {
                if instance.um.refresh().await.is_ok() {
                    instance.caught_up(begin);
                }
            }
            1 => {
                let known = [&self.sign_ins[..], &self.keys.borrow()[..]].concat();
                let sign_in = world.pick(&known[..]).clone();
                match instance.um.authenticate(&sign_in.token, Default::default()).await {
                    Ok(caller) => {
                        let SignIn { user, session, .. } = sign_in;
                        instance.held.borrow_mut().push(Held { user, session: Some(session), caller });
                    }
                    Err(error) => self.require_known("authenticate", &error),
                }
            }
            2 => {
                let user = *world.pick(&self.users);
                match instance.um.acting_as(user).await {
                    Ok(caller) => instance.held.borrow_mut().push(Held { user, session: None, caller }),
                    Err(error) => self.require_known("acting_as", &error),
                }
            }
            3 => self.read(at, begin).await,
            _ => {
                let before = instance.floors.borrow().clone();
                let (user, permission) = (*world.pick(&self.users), *world.pick(&PERMISSIONS));
                // What others did counts from when it is heard of, or at once where that is asked for.
                let at_least = if world.below(2) == 0 { begin } else { 0 };
                let reached = self.history.lock().unwrap().reached(at_least);
                match instance.um.checks().at_least(reached).check(user, permission, about(permission).as_ref()).await {
                    Ok(is_allowed) => {
                        let mut floors = before;
                        if instance.is_shared {
                            floors.raise_all(at_least);
                        }
                        let answers = self.history.lock().unwrap().answers(&floors, user, None, permission);
                        let is_right = match is_allowed {
                            true => answers.contains(&Answer::Allowed),
                            // Who may not sign in may do nothing.
                            false => answers.iter().any(|answer| *answer != Answer::Allowed),
                        };
                        if !is_right {
                            self.break_law(format!("check says {is_allowed} to {permission} of {user}"));
                        }
                    }
                    Err(error) => self.require_known("check", &error),
                }
            }
        }
    }
}

/// A caller that does some things, one after the other.
pub async fn live(stage: Rc<Stage>, deeds: usize) {
    for _ in 0..deeds {
        let at = stage.world.below(stage.instances.len());
        if stage.proves == Some(Proves::Passwords) && stage.world.chance(60) {
            stage.prove(at).await
        } else if stage.proves == Some(Proves::Factors) && stage.world.chance(80) {
            stage.use_factors(at).await
        } else if stage.world.chance(60) {
            stage.change(at).await
        } else {
            stage.ask(at).await
        }
        // Right after the answer, before anything else has a turn.
        stage.look(at, false);
        if stage.broken.borrow().is_some() {
            return;
        }
        if stage.world.chance(30) {
            stage.world.pause(stage.world.below(300_000) as u64).await;
            (0..stage.instances.len()).for_each(|at| stage.look(at, false));
        }
    }
}

/// All is quiet: whatever was in doubt is known.
pub async fn settle(stage: Rc<Stage>) {
    // What callers began who went away comes to its end.
    stage.world.pause(10_000_000).await;
    for (at, instance) in stage.instances.iter().enumerate() {
        let begin = stage.newest();
        if let Err(error) = instance.um.refresh().await {
            return stage.break_law(format!("instance {at} does not catch up: {error:?}"));
        }
        instance.caught_up(begin);
        let held = instance.held.borrow().clone();
        for held in held {
            // Reads what a fault made it let go of.
            let _ = held.caller.users().me().await;
        }
        instance.floors.borrow_mut().raise_all(stage.newest());
        stage.look(at, true);
        stage.require_usable(at).await;
    }
    let system = stage.instances[0].um.system();
    for change in stage.unknown.take() {
        let known = {
            let history = stage.history.lock().unwrap();
            history.position_of(change).map(|number| history.reached(number).to_string())
        };
        match system.audit().outcome(change).await {
            Ok(outcome) if outcome.position == known => {}
            other => stage.break_law(format!("about {change} it is said {other:?}, not {known:?}")),
        }
    }
    stage.require_found().await;
    stage.require_sent().await;
    match system.audit().verify(rolekeep::audit::VerifyAudit::new()).await {
        Ok(found) if found.is_whole => {}
        other => stage.break_law(format!("the audit log: {other:?}")),
    }
}
