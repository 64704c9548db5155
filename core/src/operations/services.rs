//! What operations need of the store they run in.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use uuid::Uuid;

use super::{
    audit, consumers::Leases, events::SharedParts, hasher::Hasher, issuers::Issuers, limits::Permits,
    passwords::Breaches, policy::state::PolicyState, reads::Reads, store_secrets::NameKey,
};
use crate::{
    audit_chain::{AuditDraft, AuditKeys},
    config::Config,
    credentials::{
        access_token::Expected,
        jws::Jws,
        keys::Keys,
        passkeys::RelyingParty,
        signed_id::{self, Purpose},
        supabase_token::Signer,
    },
    environment::Env,
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        secret::Secret,
        time::Time,
    },
    net::Networks,
    rules::RuleSet,
    storage::{Key, Observed, Storage},
};

/// One open store.
pub struct Services {
    /// Where rows are kept.
    pub storage: Arc<dyn Storage>,
    policy: ArcSwap<PolicyState>,
    keys: ArcSwap<Keys>,
    /// How often the sessions of everybody were ended.
    era: AtomicI64,
    /// The same of API keys.
    key_era: AtomicI64,
    /// Whether somebody else decides in the end about what is written.
    is_joined: bool,
    /// What was read of the change feed last.
    pub(crate) feed: SharedParts,
    shared: Arc<Shared>,
}

/// What a store has wherever its rows are read: also in a transaction of the application's.
pub struct Shared {
    /// How many calls of the storage were slow.
    pub slow_calls: Arc<AtomicU64>,
    /// Time, randomness, tasks.
    pub env: Env,
    /// The settings.
    pub config: Config,
    /// Password hashing.
    pub hasher: Hasher,
    /// Passwords that nobody may choose.
    pub breaches: Breaches,
    /// What stands for the names of accounts that are gone is made with this.
    pub(super) names: NameKey,
    /// What seals the cursors of lists.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(super) cursors: crate::credentials::encryption::EncryptionKeys,
    /// What seals the audit log.
    pub(crate) audit_keys: AuditKeys,
    /// What signs its ends for others, where they are signed.
    pub(crate) audit_signer: Option<Jws>,
    /// Whose word on addresses is believed, and from which addresses requests are answered.
    pub(crate) networks: Networks,
    /// The tries that are looked at now.
    pub(crate) permits: Permits,
    /// For whom passkeys are, where they are offered.
    pub(crate) relying_party: Option<RelyingParty>,
    /// Other issuers, whose tokens are believed.
    pub(crate) issuers: Issuers,
    /// By what tokens for a Supabase project are signed, where they are made.
    pub(crate) supabase: Option<Signer>,
    /// The consumers that this process reads for.
    pub(crate) leases: Leases,
    /// Whether there is somebody who sends notices.
    is_notifying: bool,
    /// Whether all that is encrypted is so under the key of today: this instance has looked.
    pub(super) is_encrypted: AtomicBool,
    /// Held by who encrypts what is not under the key of today.
    pub(super) encrypting: async_lock::Mutex<()>,
    /// Up to which key of each table it has made it so; none: to its end.
    encrypted_up_to: Mutex<BTreeMap<&'static str, Option<Key>>>,
}

impl Deref for Services {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Shared {
    fn observed(&self, storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
        match IS_PAGE {
            true => storage,
            false => {
                let (env, slow_millis) = (self.env.clone(), self.config.slow_statement_millis);
                Arc::new(Observed::new(storage, env, slow_millis, Arc::clone(&self.slow_calls)))
            }
        }
    }
}

impl Services {
    /// A store whose policy is not read yet.
    pub fn new(
        storage: Arc<dyn Storage>,
        env: Env,
        config: Config,
        (hasher, breaches): (Hasher, Breaches),
        (keys, names, audit_keys): (Keys, NameKey, AuditKeys),
        issuers: Issuers,
        is_notifying: bool,
    ) -> Result<Self> {
        let (networks, relying_party) = (config.networks()?, config.relying_party()?);
        let (supabase, audit_signer) = (config.supabase()?, config.audit_signer()?);
        let keys = ArcSwap::from_pointee(keys);
        let (policy, permits) = (ArcSwap::from_pointee(PolicyState::empty()?), Permits::default());
        let (era, key_era) = (AtomicI64::new(0), AtomicI64::new(0));
        #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
        let cursors = crate::credentials::encryption::EncryptionKeys::new(std::iter::once(&names.0[..]))?;
        let shared = Shared {
            slow_calls: Arc::default(),
            env,
            config,
            hasher,
            breaches,
            names,
            #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
            cursors,
            audit_keys,
            audit_signer,
            networks,
            permits,
            relying_party,
            issuers,
            supabase,
            leases: Leases::default(),
            is_notifying,
            is_encrypted: AtomicBool::new(false),
            encrypting: async_lock::Mutex::new(()),
            encrypted_up_to: Mutex::default(),
        };
        let storage = shared.observed(storage);
        let (feed, shared) = (SharedParts::default(), Arc::new(shared));
        Ok(Self { storage, policy, keys, era, key_era, is_joined: false, feed, shared })
    }

    /// This store, read and written in a transaction of the application's.
    #[cfg(feature = "sql")]
    pub(crate) fn joined(&self, storage: Arc<dyn Storage>) -> Self {
        Self {
            storage: self.shared.observed(storage),
            policy: ArcSwap::new(self.policy()),
            keys: ArcSwap::new(self.keys()),
            era: AtomicI64::new(self.era()),
            key_era: AtomicI64::new(self.key_era()),
            is_joined: true,
            feed: SharedParts::default(),
            shared: self.shared.clone(),
        }
    }

    /// Up to which key of each table this instance has encrypted it under the key of today; none: to its end.
    pub(super) fn encrypted_up_to(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<Key>>> {
        self.encrypted_up_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what has to be counted whatever comes of it, such as tries of a password, where it could be rolled back.
    pub(crate) fn require_lasting(&self) -> Result<()> {
        match self.is_joined {
            false => Ok(()),
            true => Err(Error::new(
                Reason::NotOffered,
                "passwords, codes and links are not tried in a transaction of the application: to roll it back would undo that they were counted",
            )),
        }
    }

    /// Whether there is somebody who sends notices; never in a page.
    pub fn has_notifier(&self) -> bool {
        !IS_PAGE && self.is_notifying
    }

    /// The keys that tokens are signed with now.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Goes on with other keys. One at a time: they were read one after the other.
    pub fn replace_keys(&self, next: Keys) {
        let before = self.keys();
        self.keys.store(Arc::new(next.after(&before)));
    }

    /// How often the sessions of everybody were ended, as far as this instance has heard.
    pub fn era(&self) -> i64 {
        self.era.load(Ordering::Acquire)
    }

    /// They were ended so often by now; what was read before counts no more.
    pub fn enter_era(&self, era: i64, history: History) {
        history.enter(&self.era, era);
    }

    /// How often the API keys of everybody were ended, as far as this instance has heard.
    pub fn key_era(&self) -> i64 {
        self.key_era.load(Ordering::Acquire)
    }

    /// They were ended so often by now.
    pub fn enter_key_era(&self, era: i64, history: History) {
        history.enter(&self.key_era, era);
    }

    /// The policy of now. An operation asks its plan instead, so that all of it is under one policy.
    pub fn policy(&self) -> Arc<PolicyState> {
        self.policy.load_full()
    }

    /// The rules of now, as [`Services::policy`].
    pub fn rules(&self) -> Arc<RuleSet> {
        self.policy.load().rules.clone()
    }

    /// Goes on with another policy, unless a newer one is there already; whether it did.
    pub fn replace_policy(&self, next: Arc<PolicyState>) -> bool {
        let before = self.policy.rcu(|now| if now.is_before(&next) { next.clone() } else { now.clone() });
        before.is_before(&next)
    }

    /// What is stored may be under other keys than those that were found.
    pub fn look_for_old_keys(&self) {
        self.is_encrypted.store(false, Ordering::Release);
        self.encrypted_up_to().clear();
    }
}

/// How what is read of the storage goes together with what is known of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// It only goes on: what is older than what is known was read before that.
    Same,
    /// The storage lost commits, in whose place others may be: what is read counts, whatever is known.
    Other,
}

impl History {
    fn enter(self, era: &AtomicI64, now: i64) {
        match self {
            Self::Same => {
                era.fetch_max(now, Ordering::AcqRel);
            }
            Self::Other => era.store(now, Ordering::Release),
        }
    }
}

impl Services {
    /// Typed reads.
    pub fn reads(&self) -> Reads<'_> {
        Reads::stored(&*self.storage)
    }

    /// Whether a time is later than now by more than the clocks of instances differ: that clock was ahead, or this one was set back
    /// since, and nobody knows how long ago it was.
    pub(crate) fn is_ahead(&self, at: Time, now: Time) -> bool {
        at > now.plus_seconds(self.config.leeway_seconds)
    }

    /// What access tokens say here.
    pub fn expected(&self, now: Time) -> Expected<'_> {
        let Config { issuer, audience, leeway_seconds, .. } = &self.config;
        Expected { issuer, audience, now, leeway: *leeway_seconds }
    }

    /// Signs an id and what it is bound to, by the root key of now.
    pub fn sign_id(&self, purpose: Purpose, id: Uuid, bound: &[&[u8]]) -> Result<Secret> {
        signed_id::issue(&self.keys().root(self.now()).signed_ids[..], purpose, id, bound)
    }

    /// An entry of the audit log of which only this is known yet.
    pub(crate) fn audit_draft(&self, action: impl Into<String>, actor: String, at: Time) -> Result<AuditDraft> {
        audit::draft(&self.env, &self.audit_keys, action, actor, at)
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.env.now()
    }
}
