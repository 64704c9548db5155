//! Second factors: no code and no answer of a passkey lets in twice, and whoever has a second factor has no session that was begun without.

use std::{cell::RefCell, collections::BTreeMap};

use rolekeep::{
    Caller, Error, Result, Secret, SessionId, UserId,
    factors::{AddFactor, AddPasskey, FactorKind, RemoveFactor, ResetFactorsOf},
    internals::{
        credential::Credential,
        factor::{Factor, FactorState, Passkey, RecoveryCode},
        session::Session,
        totp,
    },
    sign_in::{ProveFactor, SignInByPasskey, SignInStep, StartSignInByPasskey},
    storage::MemoryStorage,
};

use crate::{
    PASSWORD,
    deeds::{Held, Stage},
    history::all,
    security_key::SecurityKey,
};

/// What users keep.
#[derive(Default)]
pub struct Kept {
    /// The seeds of apps that were set up, whether or not they were added.
    apps: RefCell<Vec<(UserId, Secret)>>,
    recovery_codes: RefCell<Vec<(UserId, Secret)>>,
    /// Those that were made, whether or not they were added.
    passkeys: RefCell<Vec<SecurityKey>>,
    /// What passkeys answered: the challenge, and the answer.
    answers: RefCell<Vec<(Secret, String)>>,
    /// The session that a code led to. A code of an app by its step: those of two may be alike.
    used: RefCell<BTreeMap<String, SessionId>>,
}

/// Which law the rows break.
pub fn broken(memory: &MemoryStorage) -> Option<String> {
    let (factors, states) = (all::<Factor>(memory), all::<FactorState>(memory));
    if factors.len() != states.len() {
        return Some(format!("{} factors have {} states", factors.len(), states.len()));
    }
    let passkeys: Vec<Passkey> = all(memory);
    let is_known = |factor: &&Factor| passkeys.iter().any(|passkey| passkey.factor_id == factor.id);
    let of_kind = factors.iter().filter(|factor| factor.kind == FactorKind::Passkey);
    let counts = (passkeys.len(), of_kind.clone().count(), of_kind.filter(is_known).count());
    if counts.0 != counts.1 || counts.0 != counts.2 {
        return Some(format!("passkeys, factors that are some, and those that are known: {counts:?}"));
    }
    let (credentials, codes) = (all::<Credential>(memory), all::<RecoveryCode>(memory));
    let sessions: Vec<Session> = all(memory);
    credentials.iter().find_map(|credential| {
        let user = credential.user_id;
        let of_user = factors.iter().filter(|factor| factor.user_id == user);
        let (count, apps) = (of_user.clone().count(), of_user.filter(|factor| factor.kind == FactorKind::Totp).count());
        if credential.second_factor_since.is_some() != (count > 0) || apps > 3 {
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
                match world.below(20) {
                    0..2 => self.remove(at, held.user, &held.caller).await,
                    2..10 => self.add(at, held.user, &held.caller).await,
                    _ => self.add_passkey(at, held.user, &held.caller).await,
                }
            }
            6..12 => self.sign_in_by_passkey(at).await,
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

    async fn add_passkey(&self, at: usize, user: UserId, caller: &Caller) -> Result<(), Error> {
        self.world.tell(|| format!("instance {at}: {user} adds a passkey"));
        let asked = caller.factors().add_passkey_start().await?;
        let mut key = SecurityKey::new(self.kept.passkeys.borrow().len() as u64);
        key.counts = self.world.chance(30);
        let response = key.create(&asked.options);
        self.kept.passkeys.borrow_mut().push(key);
        let added = caller.factors().add_passkey(AddPasskey::new(asked.challenge, response)).await?;
        self.kept.recovery_codes.borrow_mut().extend(added.recovery_codes.into_iter().map(|code| (user, code)));
        Ok(())
    }

    /// Somebody signs in by a passkey, by a copy of one, or by what one answered before.
    async fn sign_in_by_passkey(&self, at: usize) -> Result<(), Error> {
        let world = &self.world;
        let nobody = self.instances[at].um.anonymous(Default::default());
        let is_old = world.chance(30) && !self.kept.answers.borrow().is_empty();
        if !is_old {
            let asked = nobody.sign_in().passkey_start(StartSignInByPasskey::new()).await?;
            let mut keys = self.kept.passkeys.borrow_mut();
            if keys.is_empty() {
                return Ok(());
            }
            let which = world.below(keys.len());
            let key = &mut keys[which];
            let response = if world.chance(10) { key.clone().get(&asked.options) } else { key.get(&asked.options) };
            self.kept.answers.borrow_mut().push((asked.challenge, response));
        }
        let (challenge, response) = match is_old {
            true => world.pick(&self.kept.answers.borrow()[..]).clone(),
            false => self.kept.answers.borrow().last().cloned().unwrap(),
        };
        world.tell(|| format!("instance {at}: a passkey answers {}", challenge.expose()));
        let answer = SignInByPasskey::new(challenge.clone(), response);
        // Its sender did not get ours, or did, and somebody else sends it again.
        for _ in 0..1 + world.below(3) {
            let tokens = nobody.sign_in().passkey(answer.clone()).await?.done()?;
            self.lets_in(challenge.expose().to_owned(), tokens.session_id, tokens.user.id);
        }
        Ok(())
    }

    /// What lets in lets in once.
    fn lets_in(&self, known_by: String, session: SessionId, user: UserId) {
        let before = self.kept.used.borrow_mut().insert(known_by.clone(), session);
        if before.is_some_and(|before| before != session) {
            self.break_law(format!("{user} was let in twice by {known_by}"));
        }
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
        self.lets_in(known_by, tokens.session_id, user);
        Ok(())
    }
}
