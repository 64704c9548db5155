//! Unique names, and guards: rows that stand for what must hold of others.

use super::Plan;
use crate::{
    credentials::{
        keys::Root,
        signed_id::{self, Purpose},
    },
    model::{
        deferred::unless_page,
        error::{Error, Reason, Result},
        id::UserId,
        predicate::Predicate,
        record::{Key, Record},
        registry::{Claim, Guard},
        secret::Secret,
        time::Time,
    },
    operations::{gone_names, look_alikes},
};

impl Plan<'_> {
    /// Relies on what a guard stands for: whoever changes it meanwhile makes this plan stale.
    pub async fn rely_on(&mut self, guard: &str) -> Result<()> {
        let version = self.reads().guard(guard).await?;
        self.check_key::<Guard>(Guard::key_of(&(guard.to_owned(),)), version);
        Ok(())
    }

    /// What holds by a root key ([`Keys::by_any`](crate::credentials::keys::Keys::by_any)), as long as none is revoked meanwhile.
    ///
    /// # Errors
    /// What the newest one says, where it holds by none.
    pub fn by_root<T>(&mut self, verify: impl Fn(&Root) -> Result<T>) -> Result<T> {
        let keys = self.services.keys();
        self.check_key::<Guard>(Guard::key_of(&(Guard::SIGNING_KEYS.to_owned(),)), keys.version);
        keys.by_any(self.now, verify)
    }

    /// Proves that an id was signed here, for this purpose and what it is bound to ([`Services::sign_id`](super::Services::sign_id)).
    ///
    /// # Errors
    /// [`Reason::InvalidToken`](crate::Reason::InvalidToken)
    pub fn verify_id(&mut self, purpose: Purpose, text: &Secret, bound: &[&[u8]]) -> Result<()> {
        self.by_root(|root| signed_id::verify(&root.signed_ids[..], purpose, text, bound)).map(drop)
    }

    /// How often the sessions of everybody have been ended, as rows keep it; whoever ends them meanwhile makes this plan stale.
    pub fn rely_on_era(&mut self) -> Option<i64> {
        self.rely_on_era_of(self.era);
        kept(self.era)
    }

    /// The same of whoever was let in before this was planned.
    pub(super) fn rely_on_era_of(&mut self, era: i64) {
        self.check_key::<Guard>(Guard::key_of(&(Guard::SESSIONS.to_owned(),)), kept(era));
    }

    /// How often the API keys of everybody have been ended, as rows keep it; whoever ends them meanwhile makes this plan stale.
    pub fn rely_on_key_era(&mut self) -> Option<i64> {
        self.rely_on_key_era_of(self.key_era);
        kept(self.key_era)
    }

    /// The same of a key that was made when they had been ended so often.
    pub(super) fn rely_on_key_era_of(&mut self, era: i64) {
        self.check_key::<Guard>(Guard::key_of(&(Guard::API_KEYS.to_owned(),)), kept(era));
    }

    /// How often the API keys of everybody have been ended.
    pub fn key_era(&self) -> i64 {
        self.key_era
    }

    /// How often the sessions of everybody have been ended.
    pub fn era(&self) -> i64 {
        self.era
    }

    /// Changes what a guard stands for: plans that rely on it become stale.
    pub async fn move_guard(&mut self, guard: &str) -> Result<()> {
        self.move_guards(vec![guard.to_owned()]).await
    }

    /// The same of several, in one read.
    pub async fn move_guards(&mut self, guards: Vec<String>) -> Result<()> {
        self.read_ahead::<Guard>(guards.iter().map(|guard| (guard.clone(),)).collect()).await?;
        for name in guards {
            if !self.is_moved(&name) {
                let before = self.reads().get::<Guard>(&(name.clone(),)).await?;
                let after = before.clone().unwrap_or(Guard { name, version: 0 });
                self.write(before.as_ref(), after, None);
            }
        }
        Ok(())
    }

    /// Whether the plan moves a guard already.
    pub fn is_moved(&self, guard: &str) -> bool {
        self.writes.contains_key(&(Guard::TABLE.name, Guard::key_of(&(guard.to_owned(),))))
    }

    /// What a guard stands for goes: plans that move it become stale, also where nobody moved it before.
    pub async fn end_guard(&mut self, guard: &str) -> Result<()> {
        match self.reads().get::<Guard>(&(guard.to_owned(),)).await? {
            Some(guard) => self.remove(&guard, None),
            None => self.check_key::<Guard>(Guard::key_of(&(guard.to_owned(),)), None),
        }
        Ok(())
    }

    /// What a user may do changes.
    pub async fn move_authority(&mut self, user: UserId) -> Result<()> {
        self.move_guard(&Guard::of_user(user)).await
    }

    /// The same of several users, in one read.
    pub async fn move_authority_of(&mut self, users: Vec<UserId>) -> Result<()> {
        self.move_guards(users.into_iter().map(Guard::of_user).collect()).await
    }

    /// Reads rows that will be needed one by one, in one call.
    pub async fn read_ahead<R: Record>(&self, keys: Vec<R::Key>) -> Result<()> {
        let keys: Vec<Key> = keys.iter().map(R::key_of).collect();
        self.memory.get(R::TABLE, &keys).await.map(|_| ())
    }

    /// Reads who has unique names that will be claimed or let go, in one call.
    pub async fn look_up(&self, names: &[(&str, Option<&str>)]) -> Result<()> {
        let mut keys = Vec::new();
        for (kind, name) in names.iter().filter_map(|(kind, name)| Some((*kind, (*name)?))) {
            keys.extend(self.keys_of_name(kind, name)?);
        }
        self.read_ahead::<Claim>(keys).await
    }

    /// The keys of all claims that say whether a unique name may be taken.
    pub fn keys_of_name(&self, kind: &str, name: &str) -> Result<Vec<(String, String)>> {
        let gone = gone_names::all_gone(self.services, kind, name)?;
        let mut keys: Vec<_> = gone.into_iter().map(|gone| (gone.kind, gone.name)).collect();
        keys.extend(Claim::keys(kind, name));
        let looks = Claim::looks(kind, name);
        keys.extend((!looks.is_empty()).then(look_alikes::key));
        keys.extend(looks);
        Ok(keys)
    }

    /// Takes a unique name, or says which field names a taken one.
    pub async fn claim(&mut self, kind: &str, name: &str, owner: impl ToString) -> Result<()> {
        let owner = owner.to_string();
        if let Some(former) = Claim::former(kind, name) {
            self.look_up(&[(kind, Some(name))]).await?;
            let key = (kind.to_owned(), former);
            let existing = self.reads().get::<Claim>(&key).await?;
            if existing.as_ref().is_some_and(|claim| claim.owner != owner && !claim.is_free(self.now)) {
                return Err(Error::taken(kind));
            }
            self.rely_on_row(&key, existing.as_ref());
        }
        // What it looks like belongs to the name: there is no other way of taking one.
        match self.take(kind, kind, Claim::canonical(kind, name), &owner).await? {
            true => unless_page(Ok(()), || Box::pin(self.claim_looks(kind, name, &owner))).await,
            false => Ok(()),
        }
    }

    /// Takes what a new name looks like, where the store keeps that.
    async fn claim_looks(&mut self, kind: &str, name: &str, owner: &str) -> Result<()> {
        let looks = Claim::looks(kind, name);
        if !looks.is_empty() && self.keeps_looks(&Claim::canonical(kind, name)).await? {
            for (look, name) in looks {
                self.take(kind, &look, name, owner).await?;
            }
        }
        Ok(())
    }

    /// Takes one key, or says which field names a taken one; whether the owner did not have it already.
    async fn take(&mut self, field: &str, kind: &str, name: String, owner: &str) -> Result<bool> {
        let claim = Claim { kind: kind.to_owned(), name, owner: owner.to_owned(), held_until: None, version: 0 };
        match self.reads().get::<Claim>(&(claim.kind.clone(), claim.name.clone())).await? {
            Some(existing) if existing.owner == claim.owner && existing.held_until.is_none() => Ok(false),
            Some(existing) if existing.owner == claim.owner || existing.is_free(self.now) => {
                self.require_not_gone(field, &claim).await?;
                let version = existing.version;
                self.write(Some(&existing), Claim { version, ..claim }, None);
                Ok(true)
            }
            Some(_) => Err(Error::taken(field)),
            None => {
                self.require_not_gone(field, &claim).await?;
                self.write(None, claim, None);
                Ok(true)
            }
        }
    }

    /// Whether what a new username looks like is claimed beside it. The plan relies on that: others may begin to at any moment.
    ///
    /// # Errors
    /// [`Reason::NamesNotReady`](crate::Reason::NamesNotReady) for one beyond ASCII, as long as those that there are have not been gone through.
    async fn keeps_looks(&mut self, canonical: &str) -> Result<bool> {
        let kept = self.reads().get::<Claim>(&look_alikes::key()).await?;
        self.rely_on_row(&look_alikes::key(), kept.as_ref());
        look_alikes::State::of(kept.as_ref()).keeps(canonical)
    }

    /// Whether somebody else has an address, or nobody may take it again.
    pub async fn is_email_taken(&self, email: &str, own: Option<UserId>) -> Result<bool> {
        let kind = Claim::EMAIL;
        self.look_up(&[(kind, Some(email))]).await?;
        if let Some(holder) = self.holder(kind, email).await? {
            return Ok(own.map(|own| own.to_string()) != Some(holder));
        }
        let gone = gone_names::gone(self.services, kind, email)?;
        let gone: Vec<Claim> = self.reads().many(gone.map(|gone| (gone.kind, gone.name))).await?;
        Ok(!gone.is_empty())
    }

    /// Whether somebody else has a username, or one that looks like it, or nobody may take it again.
    ///
    /// # Errors
    /// [`Reason::NamesNotReady`](crate::Reason::NamesNotReady)
    pub async fn is_username_taken(&self, name: &str, own: Option<UserId>) -> Result<bool> {
        let kind = Claim::USERNAME;
        self.look_up(&[(kind, Some(name))]).await?;
        let own = own.map(|own| own.to_string());
        match self.holder(kind, name).await? {
            holder @ Some(_) if holder == own => return Ok(false),
            Some(_) => return Ok(true),
            None => {}
        }
        let (mut looks, mut gone) = (Claim::looks(kind, name), gone_names::all_gone(self.services, kind, name)?);
        if !looks.is_empty() {
            let kept = self.reads().get::<Claim>(&look_alikes::key()).await?;
            if !look_alikes::State::of(kept.as_ref()).keeps(&Claim::canonical(kind, name))? {
                looks.clear();
                gone.truncate(1);
            }
        }
        let claims: Vec<Claim> =
            self.reads().many(looks.into_iter().chain(gone.into_iter().map(|gone| (gone.kind, gone.name)))).await?;
        Ok(claims.iter().any(|claim| !claim.is_free(self.now) && Some(&claim.owner) != own.as_ref()))
    }

    /// Whether an account that somebody makes for itself begins without its username: one that cannot be given yet keeps nobody out.
    pub async fn begins_without(&self, username: &str) -> Result<bool> {
        match self.is_username_taken(username, None).await {
            Err(error) if error.reason() == Reason::NamesNotReady => Ok(true),
            is_taken => is_taken,
        }
    }

    /// Refuses a name that an account had which is gone for good, and that nobody may take again.
    async fn require_not_gone(&mut self, field: &str, claim: &Claim) -> Result<()> {
        let Some(gone) = gone_names::gone(self.services, &claim.kind, &claim.name)? else { return Ok(()) };
        let gone = (gone.kind, gone.name);
        if self.reads().get::<Claim>(&gone).await?.is_some() {
            return Err(Error::taken(field));
        }
        self.check_key::<Claim>(Claim::key_of(&gone), None);
        Ok(())
    }

    /// Lets all unique names go of an account that is gone for good. Those that nobody may take again are kept, so that nobody can
    /// read them.
    pub async fn release_all(&mut self, owner: impl ToString) -> Result<()> {
        let claims: Vec<Claim> = self.reads().all(Predicate::equals("owner", owner.to_string())).await?;
        for claim in claims {
            if claim.held_until.is_none() && gone_names::is_kept(&self.services.config, &claim.kind) {
                let gone = gone_names::all_gone(self.services, &claim.kind, &claim.name)?;
                let keys: Vec<_> = gone.iter().map(|gone| (gone.kind.clone(), gone.name.clone())).collect();
                // Another one may be gone that looked like it.
                let known: Vec<Claim> = self.reads().many(keys).await?;
                let is_new =
                    |gone: &Claim| !known.iter().any(|known| (&known.kind, &known.name) == (&gone.kind, &gone.name));
                for gone in gone.into_iter().filter(is_new) {
                    self.write_consequence(None, gone);
                }
            }
            self.remove(&claim, None);
        }
        Ok(())
    }

    /// The row that has a unique name, or may take it back.
    pub async fn holder(&self, kind: &str, name: &str) -> Result<Option<String>> {
        let claims: Vec<Claim> = self.reads().many(Claim::keys(kind, name)).await?;
        Ok(claims.into_iter().find(|claim| !claim.is_free(self.now)).map(|claim| claim.owner))
    }

    /// Lets a unique name go that its owner may take back for so long, which nobody else may.
    pub async fn hold(&mut self, kind: &str, name: &str, owner: impl ToString, until: Time) -> Result<()> {
        for claim in self.claims_of(kind, name, owner).await? {
            self.write(Some(&claim.clone()), Claim { held_until: Some(until), ..claim }, None);
        }
        Ok(())
    }

    /// Lets a unique name go.
    pub async fn release(&mut self, kind: &str, name: &str, owner: impl ToString) -> Result<()> {
        for claim in self.claims_of(kind, name, owner).await? {
            self.remove(&claim, None);
        }
        Ok(())
    }

    /// Lets a unique name go that its owner had and could take back.
    pub async fn release_held(&mut self, kind: &str, name: &str, owner: impl ToString) -> Result<()> {
        let claims = self.claims_of(kind, name, owner).await?;
        for claim in claims.into_iter().filter(|claim| claim.held_until.is_some()) {
            self.remove(&claim, None);
        }
        Ok(())
    }

    /// An owner's claims on a name, and on what it looks like.
    async fn claims_of(&self, kind: &str, name: &str, owner: impl ToString) -> Result<Vec<Claim>> {
        let owner = owner.to_string();
        let keys = Claim::keys(kind, name).into_iter().chain(Claim::looks(kind, name));
        let claims: Vec<Claim> = self.reads().many(keys).await?;
        Ok(claims.into_iter().filter(|claim| claim.owner == owner).collect())
    }

    /// Exchanges a unique name, if it changed.
    pub async fn rename(
        &mut self,
        kind: &str,
        before: Option<&str>,
        after: Option<&str>,
        owner: impl ToString,
    ) -> Result<()> {
        let owner = owner.to_string();
        let keys = |name| Claim::keys(kind, name);
        if before.map(keys) == after.map(keys) {
            return Ok(());
        }
        self.look_up(&[(kind, before), (kind, after)]).await?;
        if let Some(after) = after {
            self.claim(kind, after, &owner).await?;
        }
        let Some(before) = before else { return Ok(()) };
        let mut claimed: Vec<(String, String)> = Vec::new();
        if let Some(after) = after {
            claimed.push((kind.to_owned(), Claim::canonical(kind, after)));
            claimed.extend(Claim::looks(kind, after));
        }
        for claim in self.claims_of(kind, before, owner).await? {
            if !claimed.contains(&(claim.kind.clone(), claim.name.clone())) {
                self.remove(&claim, None);
            }
        }
        Ok(())
    }
}

/// How rows keep how often something of everybody has been ended; none: never.
fn kept(times: i64) -> Option<i64> {
    Some(times).filter(|times| *times > 0)
}
