//! What stored hashes cost (AUT-3): every sign-in does the work of all, so that its time tells nobody what hash an account
//! has, or that there is none (SEC-1).

use std::time::Duration;

use rolekeep_macros::boxed_async;

use crate::{
    credentials::hashing::{self, Verified},
    model::{
        check::wrong,
        credential::{Credential, HashCost},
        decode::FieldCode,
        error::Result,
        predicate::{Comparison, Predicate},
        record::Record,
        secret::Secret,
        time::Time,
        value::Value,
    },
    operations::{hasher::QueuePermit, plan::Plan, reads::Reads, services::Services},
    storage::Write,
};

/// That a cost is used is noted again after so long; it is forgotten after [`KEPT_SECONDS`], which are more.
const NOTED_SECONDS: i64 = 3600;
/// A cost that nothing has any more is kept for so long: an instance with other settings may be about to use it.
const KEPT_SECONDS: i64 = 24 * 3600;
/// How often a cost that seems too slow is measured: whatever else the machine does only adds to the time.
const MEASUREMENTS: usize = 3;
/// A cost that takes so many times as long as it may is not measured again.
const HOPELESS: u32 = 4;

/// Verifying and keeping hashes.
// Behind a box, so that it is there once, and not in each operation.
#[boxed_async]
pub(in crate::operations) trait Hashes {
    /// Whether it is the password; where there is none, no password is, after the same work.
    async fn verify(&self, credential: Option<&Credential>, password: &Secret, place: QueuePermit) -> Result<Verified>;

    /// The cost of a hash that is going to be stored, noted for all who sign in later.
    async fn keep_cost(&mut self, hash: &Secret) -> Result<String>;

    /// Refuses the hash of another system where sign-ins would take too long with it.
    async fn require_room(&mut self, hash: &Secret) -> Result<()>;
}

#[boxed_async]
impl Hashes for Plan<'_> {
    async fn verify(&self, credential: Option<&Credential>, password: &Secret, place: QueuePermit) -> Result<Verified> {
        let hash = credential.and_then(|one| one.password_hash.clone());
        self.services.hasher.verify(hash, known(self.reads()).await?, password, place).await
    }

    async fn keep_cost(&mut self, hash: &Secret) -> Result<String> {
        let cost = hashing::cost_of(hash.expose())?;
        let known: Option<HashCost> = self.reads().get(&(cost.clone(),)).await?;
        match known {
            Some(known) if self.now < known.used_at.plus_seconds(NOTED_SECONDS) => self.check(&known),
            // It may just be forgotten, as nothing has it: who does so finds it moved.
            known => {
                let used = HashCost { cost: cost.clone(), used_at: self.now, version: 0 };
                self.write_consequence(known.as_ref(), used);
            }
        }
        Ok(cost)
    }

    async fn require_room(&mut self, hash: &Secret) -> Result<()> {
        let cost = hashing::cost_of(hash.expose())?;
        // Of many at once the first of a cost answers for the others, whether its account is made or not.
        if let Some(verdict) = self.room.get(&cost) {
            return verdict.clone();
        }
        let mut known = known(self.reads()).await?;
        if known.contains(&cost) {
            return Ok(());
        }
        let let_in = self.room.iter().filter(|(_, verdict)| verdict.is_ok()).map(|(cost, _)| cost.clone());
        known.extend(let_in.collect::<Vec<_>>());
        let verdict = room_for(self, &cost, known).await;
        self.room.insert(cost, verdict.clone());
        verdict
    }
}

/// Whether sign-ins are quick enough with one cost more.
async fn room_for(plan: &Plan<'_>, cost: &str, known: Vec<String>) -> Result<()> {
    let is_one_too_many = hashing::is_one_too_many(&known, cost);
    let most = Duration::from_millis(plan.services.config.hashing_max_millis.into());
    let mut took = Duration::ZERO;
    if !is_one_too_many {
        if !most.is_zero() {
            let all: Vec<String> = known.iter().cloned().chain([cost.to_owned()]).collect();
            took = plan.services.hasher.time_of(all.clone()).await?;
            for _ in 1..MEASUREMENTS {
                if took <= most || took > most * HOPELESS {
                    break;
                }
                took = took.min(plan.services.hasher.time_of(all.clone()).await?);
            }
        }
        if took <= most {
            return Ok(());
        }
    }
    let mut held = Vec::new();
    for cost in known {
        held.push(format!("{cost}: {}", accounts(plan.reads(), &cost).await?));
    }
    let why = if is_one_too_many {
        format!("{cost} would be one cost too many of its form")
    } else {
        format!("with {cost} a sign-in would work for {} ms, {} are too many", took.as_millis(), most.as_millis())
    };
    let message = format!("{why}; accounts by what their hash costs now: {}", held.join(", "));
    Err(wrong("password_hash", FieldCode::OutOfRange, message))
}

/// All costs that stored hashes have.
pub(super) async fn known(reads: Reads<'_>) -> Result<Vec<String>> {
    let rows = reads.rows_where(HashCost::TABLE, Predicate::Always).await?;
    rows.into_iter().map(|row| Ok(HashCost::from_row(row)?.cost)).collect()
}

/// How many accounts have a hash of a cost.
pub(super) async fn accounts(reads: Reads<'_>, cost: &str) -> Result<i64> {
    reads.count::<Credential>(of_cost(cost)).await
}

/// Which those are.
pub(super) fn of_cost(cost: &str) -> Predicate {
    Predicate::Compare("hash_cost".into(), Comparison::Equal, Value::Text(cost.to_owned()))
}

/// The costs that no hash has any more, to be forgotten.
pub(in crate::operations) async fn unused(services: &Services, now: Time) -> Result<Vec<Write>> {
    let mut unused = Vec::new();
    for row in services.reads().rows_where(HashCost::TABLE, Predicate::Always).await? {
        let known = HashCost::from_row(row)?;
        let is_old = known.used_at.plus_seconds(KEPT_SECONDS) <= now && known.cost != services.hasher.cost();
        if is_old && services.reads().count_up_to::<Credential>(of_cost(&known.cost), 1).await? == 0 {
            unused.push(Write {
                table: HashCost::TABLE,
                key: known.key(),
                expected: Some(known.version),
                row: None,
                before: None,
            });
        }
    }
    Ok(unused)
}
