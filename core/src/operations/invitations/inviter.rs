//! What who invites may give: asked when it invites, and once more when somebody accepts.

use crate::{
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        invitation::{Invitation, StoredRole},
        registry::Guard,
        time::Time,
        user::{User, UserStatus, Visibility},
    },
    operations::{administrators, plan::Plan, principals, rights, target::TargetRow},
    rules::Principal,
};

use super::INVITE;

/// Who invites: whose rights count. None: the application itself, which no rule holds back.
pub(super) type Inviter<'p> = Option<&'p Principal>;

/// The account that an invitation leads to, where nobody has the address yet.
pub(super) fn account(email: Option<String>, now: Time) -> User {
    User {
        id: UserId(uuid::Uuid::nil()),
        username: None,
        email,
        email_verified: false,
        full_name: None,
        display_name: None,
        first_name: None,
        last_name: None,
        phone: None,
        birth_date: None,
        bio: None,
        location: None,
        avatar_url: None,
        website: None,
        visibility: Visibility::default(),
        attributes: None,
        region_id: None,
        status: UserStatus::Active,
        status_reason: None,
        suspended_until: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        status_before: None,
        version: 0,
    }
}

/// Refuses who may not invite to such an account, which is to be made.
pub(super) async fn require_may_make(plan: &Plan<'_>, inviter: Inviter<'_>, account: &User) -> Result<()> {
    require_may_invite(plan, inviter, account).await?;
    let row = TargetRow::of(account);
    const SET_AUTHORITY: &str = "user:set_authority";
    if rights::fills_authority(plan.rules(), &row) && !plan.may_as(inviter, SET_AUTHORITY, &row).await? {
        let message = format!("this decides who may do what; it needs `{SET_AUTHORITY}`");
        return Err(Error::denied_as(SET_AUTHORITY, message));
    }
    Ok(())
}

/// Refuses who may not invite this account.
pub(super) async fn require_may_invite(plan: &Plan<'_>, inviter: Inviter<'_>, account: &User) -> Result<()> {
    let may = plan.may_as(inviter, INVITE, &TargetRow::of(account)).await?;
    if may { Ok(()) } else { Err(Error::denied(INVITE)) }
}

/// Refuses who may not give one of these roles: administrators alone may give what not every account gets.
pub(super) fn require_may_give<'r>(
    plan: &Plan<'_>,
    inviter: Inviter<'_>,
    mut roles: impl Iterator<Item = (&'r str, &'r str)>,
) -> Result<()> {
    let is_more = roles.any(|(role, scope)| administrators::is_more_than_default(plan.rules(), role, scope));
    let may = !is_more || may_give_more(plan, inviter);
    if may { Ok(()) } else { Err(Error::new(Reason::Denied, "only administrators may give these roles")) }
}

/// Whether one may give roles that not every account gets.
pub(super) fn may_give_more(plan: &Plan<'_>, inviter: Inviter<'_>) -> bool {
    inviter.is_none_or(|inviter| plan.rules().holds_admin(inviter, plan.now))
}

/// The roles of an invitation, by name and scope.
pub(super) fn names(roles: &[StoredRole]) -> impl Iterator<Item = (&str, &str)> {
    roles.iter().map(|role| (role.role.as_str(), role.scope.as_str()))
}

/// Who made an invitation, with the rights of this moment, on which the plan relies from now on. None: it may do nothing any more.
pub(super) async fn of(plan: &mut Plan<'_>, invitation: &Invitation) -> Result<Option<Option<Principal>>> {
    plan.rely_on_policy();
    let Some(id) = invitation.invited_by else { return Ok(Some(None)) };
    // Before its rights are read, so that it loses none unseen.
    plan.rely_on(&Guard::of_user(id)).await?;
    let stored = principals::load(plan.reads(), &[id], plan.now).await?.pop();
    let stored = stored.filter(|stored| stored.is_active);
    Ok(stored.map(|stored| Some(plan.rules().resolve_stored(stored))))
}
