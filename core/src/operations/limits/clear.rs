//! Forgetting failed sign-ins.

use rolekeep_macros::{Describe, Input, boxed_async};
use uuid::Uuid;

use super::{
    lanes::{FactorTry, LaneKeys, canonical},
    tries::rows,
};
use crate::{
    model::{error::Result, id::UserId, registry::Limit, time::Time, user::User},
    operations::{
        Access, Operation, actor::Actor, administrators, plan::Plan, reads::Reads, services::Services, users::existing,
    },
};

/// Clears a user's failed sign-ins and wrong codes, so that they can try again at once, even if their name is locked.
///
/// Failed attempts of addresses, devices and sessions are not cleared. Permission `user:set_status`; for an administrator `admin:all`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ClearLimits {
    /// The user's id.
    pub user_id: UserId,
}

#[boxed_async]
impl Operation for ClearLimits {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:set_status");
    // Who is let in is no matter of programs.
    const IN_PERSON: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<()> {
        // Who may not suspend an administrator may not have its password guessed on, either.
        administrators::require_may_act_as(plan, user.id).await?;
        forget(plan, &user).await?;
        forget_codes(plan, &user).await?;
        plan.audit("limits.clear", Some(("user", user.id.to_string())), None);
        Ok(())
    }
}

/// Plans that a user's failed sign-ins by its password are forgotten.
pub(in crate::operations) async fn forget(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    let names = [&user.email, &user.username].into_iter().flatten().map(String::as_str);
    let lanes = lanes_of(plan.services, user.id, names)?;
    forget_lanes(plan, lanes).await
}

/// Where a user's failed sign-ins by its password are counted: by the user, and by its names.
pub(in crate::operations) fn lanes_of<'n>(
    services: &Services,
    user: UserId,
    names: impl Iterator<Item = &'n str>,
) -> Result<Vec<String>> {
    let keys = LaneKeys { services };
    let mut lanes = vec![keys.proof(user)?, keys.devices(user)?, keys.devices_in_a_row(user)?];
    for name in names {
        let name = canonical(name);
        let [codes, codes_in_a_row] = keys.code(&keys.pseudonym(&name)?)?;
        lanes.extend([keys.name(&name)?, keys.in_a_row(&name)?, codes, codes_in_a_row]);
    }
    Ok(lanes)
}

/// Plans that a user's wrong codes are forgotten: whoever reads its mail must not have more guesses by that.
async fn forget_codes(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    let keys = LaneKeys { services: plan.services };
    let mut lanes = Vec::new();
    let nobody = Uuid::nil();
    for by in [FactorTry::Stranger, FactorTry::Device(nobody), FactorTry::Session(nobody)] {
        let [all, in_a_row] = keys.factor(user.id, by)?;
        lanes.extend([format!("{all} day"), all, in_a_row]);
    }
    forget_lanes(plan, lanes).await
}

async fn forget_lanes(plan: &mut Plan<'_>, lanes: Vec<String>) -> Result<()> {
    let rows = rows(plan.reads(), lanes, plan.now).await?.0;
    for row in rows.into_iter().filter(|row| row.value != 0) {
        // Kept until its time is over: who read it meanwhile finds it moved.
        plan.write_consequence(Some(&row), Limit { value: 0, expires_at: plan.now, ..row.clone() });
    }
    Ok(())
}
