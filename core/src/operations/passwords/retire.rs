//! The end of old hashes.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::costs;
use crate::{
    model::{
        check::wrong,
        credential::{Credential, HashCost},
        decode::FieldCode,
        error::Result,
        record::Record,
        time::Time,
    },
    operations::{
        Access, Operation,
        plan::{Plan, no_such},
        services::Services,
    },
    storage::{Query, Window},
};

/// So many passwords are retired at a time.
const BATCH: u64 = 500;

/// Lists the costs of the stored password hashes, and how many there are of each: the progress of a migration from another system, or to
/// another cost.
///
/// Only the application itself may call it, with `system`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListPasswordCosts {}

/// Ends the passwords whose hashes have a cost: their users choose new ones with `passwords.forgot`.
///
/// For hashes of another system whose users have not signed in for a long time: if the storage is stolen they are easier to guess than
/// others, and every sign-in does the work of each stored cost. At most 500 at a time; call it again while some are left. Sessions stay
/// valid. For a user without an e-mail address, somebody else has to set a password.
/// Only the application itself may call it, with `system`. Errors: `VALIDATION_ERROR` for the cost of hashes that are made now, and for
/// one that no stored hash has.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RetirePasswords {
    /// The cost, as `passwords.costs` lists it.
    pub cost: String,
}

/// A cost of stored hashes.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct PasswordCost {
    /// The algorithm and its parameters: `argon2id$v=19$m=19456,t=2,p=1`, `bcrypt$c=12`.
    pub cost: String,
    /// How many accounts have such a hash.
    pub users: i64,
    /// Whether hashes that are made now have it.
    pub is_current: bool,
}

/// The result of retiring passwords.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct RetiredPasswords {
    /// How many passwords ended.
    pub retired: i64,
    /// How many such hashes are left.
    pub left: i64,
}

#[boxed_async]
impl Operation for ListPasswordCosts {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::System;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<PasswordCost>> {
        let mut found = Vec::new();
        for cost in costs::known(plan.reads()).await? {
            let users = costs::accounts(plan.reads(), &cost).await?;
            let is_current = cost == plan.services.hasher.cost();
            found.push(PasswordCost { cost, users, is_current });
        }
        Ok(found)
    }
}

#[boxed_async]
impl Operation for RetirePasswords {
    type Target = ();
    type Valid = String;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, _: Time) -> Result<String> {
        if self.cost == services.hasher.cost() {
            return Err(wrong("cost", FieldCode::Disagrees, "must not be the cost of hashes that are made now"));
        }
        Ok(self.cost)
    }

    async fn plan(cost: &String, (): (), plan: &mut Plan<'_>) -> Result<RetiredPasswords> {
        let window = Window { limit: Some(BATCH), ..Window::default() };
        let these = Query { window, count: u64::MAX, ..Query::of(Credential::TABLE, costs::of_cost(cost)) };
        let found = plan.reads().found(&these).await?;
        let held = i64::try_from(found.total.unwrap_or_default()).unwrap_or(i64::MAX);
        let retired = i64::try_from(found.rows.len()).unwrap_or(i64::MAX);
        if retired == 0 {
            return Err(no_such("cost", "cost among the stored hashes"));
        }
        for row in found.rows {
            let before = Credential::from_row(row)?;
            plan.audit("passwords.retire", Some(("user", before.user_id.to_string())), None);
            let after = before.clone().without_password();
            plan.write_consequence(Some(&before), after);
        }
        let left = held.saturating_sub(retired);
        if left == 0
            && let Some(known) = plan.reads().get::<HashCost>(&(cost.clone(),)).await?
        {
            // Sign-ins do its work no more. Who stores such a hash meanwhile finds it moved.
            plan.delete_consequence(&known);
        }
        Ok(RetiredPasswords { retired, left })
    }
}
