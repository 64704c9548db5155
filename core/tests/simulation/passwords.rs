//! Sign-ins beside changes of passwords: what a sign-in proved still holds when its session is written, and no session is
//! left that was begun with a former password. Hashing is dear, so that few seeds do this.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use rolekeep::{
    Error, Reason, UserId,
    internals::hashing::{Attempt, Hashing, HashingCost, Memory},
    passwords::{ChangePassword, SetPassword},
};

use crate::{PASSWORD, deeds::Stage, history::Moment, world::TaskId};

/// What users type. They begin with the first.
const PASSWORDS: [&str; 3] = [PASSWORD, "another horse battery staple", "a third horse battery staple"];

/// The cheapest that there is.
pub const COST: HashingCost = HashingCost { memory_kib: 8, iterations: 1, parallelism: 1 };

/// Which of them a hash is of, found out once.
fn password_of(hash: &str) -> Option<&'static str> {
    static KNOWN: OnceLock<Mutex<BTreeMap<String, Option<&'static str>>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap();
    *known.entry(hash.to_owned()).or_insert_with(|| {
        let hashing = Hashing::new(COST, None, &[]).unwrap();
        let is_of = |password: &&str| {
            let (hash, password) = (Some(hash.into()), (*password).into());
            let attempt = Attempt { hash, costs: Vec::new(), password, salt: [0; 16] };
            hashing.verify(&attempt, &mut Memory::default()).unwrap().is_right
        };
        PASSWORDS.into_iter().find(is_of)
    })
}

impl Stage {
    /// Somebody signs in or changes a password, and what the answer promises.
    pub async fn prove(&self, at: usize) {
        let (world, instance) = (&self.world, &self.instances[at]);
        let number = world.below(self.users.len());
        let (user, password) = (self.users[number], *world.pick(&PASSWORDS));
        let (task, begin) = (world.current(), self.newest());
        let (deed, result) = match world.below(6) {
            0 => {
                world.tell(|| format!("instance {at}: set the password of {user} to {password}"));
                let set = SetPassword::new(user, password).is_temporary(false);
                ("set", instance.um.system().passwords().set(set).await)
            }
            1 => {
                let held =
                    instance.held.borrow().iter().filter(|held| held.session.is_some()).cloned().collect::<Vec<_>>();
                let held = world.pick(&held[..]).clone();
                let current = *world.pick(&PASSWORDS);
                world.tell(|| format!("instance {at}: {} changes {current} to {password}", held.user));
                let changed = held.caller.passwords().change(ChangePassword::new(current, password)).await;
                return self.require_changed("change", task, begin, held.user, password, 1, changed.map(drop));
            }
            2 | 3 => return self.use_links(at, password).await,
            _ => {
                world.tell(|| format!("instance {at}: {user} signs in by {password}"));
                let name = format!("user{number}@example.org");
                let answer = instance.um.login(&name, password, Default::default()).await.and_then(|one| one.done());
                return self.require_proved(task, begin, user, password, answer.map(drop));
            }
        };
        self.require_changed(deed, task, begin, user, password, 0, result);
    }

    /// A session is written only where the password is right at that moment, and who types the right one all the time is
    /// not refused.
    fn require_proved(&self, task: TaskId, begin: u64, user: UserId, typed: &str, result: Result<(), Error>) {
        let history = self.history.lock().unwrap();
        let is_right =
            |moment: &Moment| moment.is_active(user) && moment.hash_of(user).and_then(password_of) == Some(typed);
        let own = history.of(task).find(|position| *position > begin);
        let law = match (&result, own) {
            (Ok(()), None) => Some("was acknowledged and not written".to_owned()),
            (Ok(()), Some(own)) => {
                let before = history.moments.iter().rev().find(|moment| moment.position < own);
                (!before.is_some_and(is_right)).then(|| format!("was let in by commit {own}, when that was not right"))
            }
            (Err(error), _) if error.reason() == Reason::InvalidCredentials => {
                let from = history.moments.partition_point(|moment| moment.position <= begin).saturating_sub(1);
                history.moments[from..].iter().all(is_right).then(|| "was refused and right all the time".to_owned())
            }
            (Err(_), _) => None,
        };
        drop(history);
        if let Err(error) = &result {
            self.require_known("sign in", error);
        }
        if let Some(law) = law {
            self.break_law(format!("{user} by {typed} {law}"));
        }
    }

    /// A password that was changed is the account's, and no session is left but, where its owner changed it, the new one.
    #[allow(clippy::too_many_arguments, reason = "what a deed was, and what came of it")]
    pub fn require_changed(
        &self,
        deed: &str,
        task: TaskId,
        begin: u64,
        user: UserId,
        password: &str,
        left: usize,
        result: Result<(), Error>,
    ) {
        let history = self.history.lock().unwrap();
        let own = history.of(task).find(|position| *position > begin);
        let moment = own.and_then(|own| history.moments.iter().find(|moment| moment.position == own));
        let is_done = moment.is_some_and(|moment| moment.hash_of(user).and_then(password_of) == Some(password));
        let sessions = moment.map(|moment| moment.sessions_of(user));
        drop(history);
        match result {
            Ok(()) if !is_done => self.break_law(format!("{deed} of {user} to {password} is not what is stored")),
            Ok(()) if sessions != Some(left) => self.break_law(format!("{deed} of {user} left {sessions:?} sessions")),
            Ok(()) => {}
            Err(error) => self.require_known(deed, &error),
        }
    }
}
