//! Second factors: no code lets in twice, and whoever has a second factor has no session that was begun without.

use std::{cell::RefCell, collections::BTreeMap};

use rolekeep::{
    Caller, Error, Result, Secret, SessionId, UserId,
    factors::{AddFactor, RemoveFactor, ResetFactorsOf},
    internals::{
        credential::Credential,
        factor::{Factor, FactorState, RecoveryCode},
        session::Session,
        totp,
    },
    sign_in::{ProveFactor, SignInStep},
    storage::MemoryStorage,
};

use crate::{
    PASSWORD,
    deeds::{Held, Stage},
    history::all,
};

/// What users keep.
#[derive(Default)]
pub struct Kept {
    /// The seeds of apps that were set up, whether or not they were added.
    apps: RefCell<Vec<(UserId, Secret)>>,
    recovery_codes: RefCell<Vec<(UserId, Secret)>>,
    /// The session that a code led to. A code of an app by its step: those of two may be alike.
    used: RefCell<BTreeMap<String, SessionId>>,
}

/// Which law the rows break.
pub fn broken(memory: &MemoryStorage) -> Option<String> {
    let (factors, states) = (all::<Factor>(memory), all::<FactorState>(memory));
    if factors.len() != states.len() {
        return Some(format!("{} factors have {} states", factors.len(), states.len()));
    }
    let (credentials, codes) = (all::<Credential>(memory), all::<RecoveryCode>(memory));
    let sessions: Vec<Session> = all(memory);
    credentials.iter().find_map(|credential| {
        let user = credential.user_id;
        let count = factors.iter().filter(|factor| factor.user_id == user).count();
        if credential.second_factor_since.is_some() != (count > 0) || count > 3 {
            return Some(format!("{user} has {count} factors, since {:?}", credential.second_factor_since));
        }
        let left = codes.iter().filter(|code| code.user_id == user).count();
        if left != if count > 0 { 10 } else { 0 } {
            return Some(format!("{user} has {count} factors and {left} recovery codes"));
        }
        let mut alive = sessions.iter().filter(|session| session.user_id == user && session.ended_at.is_none());
        let half = |session: &Session| !session.proofs.is_some_and(|proofs| proofs.are_two_factors());
        let unproved = if count > 0 { alive.find(|session| half(session)) } else { None };
        unproved.map(|session| format!("{user} has {count} factors, and by one alone session {}", session.id))
    })
}

impl Stage {
    /// Somebody adds an app, removes one, or signs in by one.
    pub async fn use_factors(&self, at: usize) {
        let (world, instance) = (&self.world, &self.instances[at]);
        // One of two, so that they have some.
        let number = world.below(2);
        let user = self.users[number];
        let result = match world.below(20) {
            0 => {
                world.tell(|| format!("instance {at}: the factors of {user} are reset"));
                instance.um.system().factors().reset_of(ResetFactorsOf::new(user)).await
            }
            1..6 => {
                let is_one = |held: &&Held| held.session.is_some() && self.users[..2].contains(&held.user);
                let held = instance.held.borrow().iter().filter(is_one).cloned().collect::<Vec<_>>();
                let held = world.pick(&held[..]).clone();
                match world.chance(90) {
                    true => self.add(at, held.user, &held.caller).await,
                    false => self.remove(at, held.user, &held.caller).await,
                }
            }
            _ => self.sign_in_by_code(at, number).await,
        };
        if let Err(error) = result {
            self.require_known("factors", &error);
        }
    }

    async fn add(&self, at: usize, user: UserId, caller: &Caller) -> Result<(), Error> {
        self.world.tell(|| format!("instance {at}: {user} adds an app"));
        let setup = caller.factors().add_start().await?;
        self.kept.apps.borrow_mut().push((user, setup.secret.clone()));
        let (known_by, code) = self.code(&setup.secret, 0);
        let added = caller.factors().add(AddFactor::new(setup.challenge, code)).await?;
        self.kept.used.borrow_mut().insert(known_by, added.tokens.session_id);
        self.kept.recovery_codes.borrow_mut().extend(added.recovery_codes.into_iter().map(|code| (user, code)));
        Ok(())
    }

    async fn remove(&self, at: usize, user: UserId, caller: &Caller) -> Result<(), Error> {
        self.world.tell(|| format!("instance {at}: {user} removes an app"));
        let factors = caller.factors().list().await?.factors;
        match factors.first() {
            Some(factor) => caller.factors().remove(RemoveFactor::new(factor.id)).await.map(drop),
            None => Ok(()),
        }
    }

    /// The code of a step from now, and what it is known by.
    fn code(&self, seed: &Secret, step: i64) -> (String, Secret) {
        let step = self.world.now().as_second().div_euclid(totp::STEP_SECONDS) + step;
        let digits = totp::code(seed, step).unwrap();
        (format!("{} {step}", seed.expose()), String::from_utf8(digits.to_vec()).unwrap().into())
    }

    async fn sign_in_by_code(&self, at: usize, number: usize) -> Result<(), Error> {
        let (world, user) = (&self.world, self.users[number]);
        let name = format!("user{number}@example.org");
        let um = &self.instances[at].um;
        let owed = um.login(&name, PASSWORD, Default::default()).await?;
        if owed.step != SignInStep::Factor {
            return Ok(());
        }
        let apps: Vec<(UserId, Secret)> = self.kept.apps.borrow().iter().filter(|one| one.0 == user).cloned().collect();
        let codes = self.kept.recovery_codes.borrow().iter().filter(|one| one.0 == user).cloned().collect::<Vec<_>>();
        let (known_by, code) = match codes.is_empty() || world.chance(60) {
            true if apps.is_empty() => return Ok(()),
            true => self.code(&world.pick(&apps[..]).1, world.below(3) as i64 - 1),
            false => {
                let code = world.pick(&codes[..]).1.clone();
                (code.expose().to_owned(), code)
            }
        };
        world.tell(|| format!("instance {at}: {user} proves {known_by}"));
        let prove = ProveFactor::new(owed.challenge.unwrap(), code);
        let tokens = um.anonymous(Default::default()).sign_in().factor(prove).await?.done()?;
        let before = self.kept.used.borrow_mut().insert(known_by.clone(), tokens.session_id);
        if before.is_some_and(|before| before != tokens.session_id) {
            self.break_law(format!("{user} was let in twice by {known_by}"));
        }
        Ok(())
    }
}
