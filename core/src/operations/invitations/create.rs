//! Inviting somebody.

use std::collections::BTreeSet;

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{InvitationView, inviter, open_of};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::Result,
        id::{GroupId, LinkId},
        invitation::{Invitation, InvitationEnd, StoredRole},
        record::Document,
        registry::Claim,
        time::Time,
    },
    operations::{
        Access, Operation,
        administrators::GLOBAL,
        groups, notices,
        plan::Plan,
        roles::{Terms, check_terms},
        scopes,
        services::Services,
    },
};

/// So long an invitation is good, in seconds.
const SECONDS: i64 = 72 * 3600;
/// So many roles come with one at most.
const MOST_ROLES: usize = 20;

/// Invites somebody to an account with the given roles and groups: mails a link to the address, a notice of the kind `invitation`.
///
/// The link is valid for 72 hours and once, for `invitations.accept`, as long as the inviter is active, may invite, and may give the
/// roles and add members to the groups. It replaces an open invitation to the same address. The result is the same whether or not an
/// account has the address.
/// Permission `user:invite`; naming more than the default roles, everywhere, needs `admin:all` for now, and so does naming
/// groups, beside `role:assign` and `group:read`.
/// Errors: `VALIDATION_ERROR` with all wrong fields; `RATE_LIMIT_EXCEEDED` for an address that was invited within the last minute, or
/// five times within an hour, by anybody, and for more than 100 invitations of one user within an hour; `FORBIDDEN` for an API key;
/// `UNAVAILABLE` if the store has no notifier.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateInvitation {
    /// The address, at most 255 characters.
    pub email: String,
    /// The roles to give in addition to the default roles, which every new account gets; at most 20.
    pub roles: Vec<NewInvitationRole>,
    /// Ids of the groups that the user becomes a member of, at most 200. Needs what `groups.add_members` needs, now and when it is
    /// accepted.
    pub groups: Vec<GroupId>,
}

/// A role that comes with an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Input, Describe)]
#[non_exhaustive]
pub struct NewInvitationRole {
    /// The role's name.
    pub role: String,
    /// Where: `global` (the default), `region:ID`, `resource:TYPE:ID`, or `KIND:ID` of a kind that the policy declares.
    pub scope: Option<String>,
    /// From when, inclusive; at once if not given.
    pub valid_from: Option<Time>,
    /// Until when, exclusive, in the future; for ever if not given. A role whose time is over when the invitation is accepted is not
    /// given.
    pub valid_until: Option<Time>,
}

#[boxed_async]
impl Operation for CreateInvitation {
    type Target = ();
    /// What is wrong is told once it is known that the caller may invite, and give the roles.
    type Valid = (Option<String>, Vec<NewInvitationRole>, Vec<GroupId>, Checks);

    const ACCESS: Access = Access::Permission("user:invite");
    // No program gives anybody anything.
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let email = checks.field("email", services.config.names().email(&self.email));
        groups::check_few(&mut checks, &self.groups);
        let mut roles = self.roles;
        if roles.len() > MOST_ROLES {
            let message = format!("must have at most {MOST_ROLES} items");
            checks.error("roles", Invalid::new(FieldCode::TooLong, message));
            roles.clear();
        }
        Ok((email, roles, self.groups, checks))
    }

    async fn plan((email, roles, groups, checks): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<InvitationView> {
        let account = inviter::account(email.clone(), plan.now);
        inviter::require_may_make(plan, plan.actor.principal(), &account).await?;
        let names = roles.iter().map(|role| (role.role.as_str(), role.scope.as_deref().unwrap_or(GLOBAL)));
        inviter::require_may_give(plan, plan.actor.principal(), names)?;
        if !groups.is_empty() {
            groups::require_may_add(plan)?;
        }
        notices::require_notifier(plan)?;
        let mut checks = checks.clone();
        let roles = read_roles(plan, &mut checks, roles).await?;
        let groups: Vec<GroupId> = groups::named_by_id(plan, &mut checks, groups).await?.into_iter().collect();
        checks.finish()?;
        let email = email.clone().unwrap_or_default();
        let invitation = Invitation {
            id: plan.services.env.new_id()?,
            email,
            roles: Document(roles),
            groups: Some(groups).filter(|groups| !groups.is_empty()).map(Document),
            invited_by: plan.actor.user_id(),
            created_at: plan.now,
            expires_at: plan.now.plus_seconds(SECONDS),
            ended_at: None,
            end_reason: None,
            accepted_by: None,
            version: 0,
        };
        notices::invite(plan, &invitation.email, LinkId(invitation.id.0)).await?;
        take_place(plan, &invitation).await?;
        let invitation = plan.write_consequence(None, invitation);
        let roles = inviter::names(&invitation.roles.0).map(|(role, scope)| format!("{role} ({scope})"));
        let given: Vec<String> =
            roles.chain(invitation.groups().iter().map(|group| format!("group {group}"))).collect();
        let detail = match given.is_empty() {
            true => invitation.email.clone(),
            false => format!("{}: {}", invitation.email, given.join(", ")),
        };
        plan.audit("invitations.create", Some(("invitation", invitation.id.to_string())), Some(detail));
        Ok(InvitationView::of(invitation, plan.now))
    }
}

/// The roles as they are stored, or what is wrong with them.
async fn read_roles(plan: &mut Plan<'_>, checks: &mut Checks, roles: &[NewInvitationRole]) -> Result<Vec<StoredRole>> {
    let (mut read, mut known) = (Vec::new(), BTreeSet::new());
    for (at, wanted) in roles.iter().enumerate() {
        checks.part(&format!("roles[{at}]"));
        let (valid_from, valid_until) = (wanted.valid_from, wanted.valid_until);
        let terms = Terms { role: &wanted.role, scope: wanted.scope.as_deref(), valid_from, valid_until };
        let Some(scope) = check_terms(checks, plan.rules(), &terms, plan.now) else { continue };
        let Some(scope) = scopes::find(plan, &scope).await? else {
            checks.error("scope", scopes::no_row());
            continue;
        };
        if !known.insert((wanted.role.clone(), scope.clone())) {
            checks.error("role", Invalid::new(FieldCode::Disagrees, "is named twice for the same scope"));
        }
        read.push(StoredRole { role: wanted.role.clone(), scope, valid_from, valid_until });
    }
    checks.whole();
    Ok(read)
}

/// Plans that this is the open invitation to its address, in place of another one. Of two that are made at once one is planned again, and
/// sees the other.
async fn take_place(plan: &mut Plan<'_>, invitation: &Invitation) -> Result<()> {
    if let Some(before) = open_of(plan, &invitation.email).await? {
        before.end(plan, InvitationEnd::Replaced, None).await?;
    }
    let key = (Claim::INVITATION.to_owned(), Claim::canonical(Claim::INVITATION, &invitation.email));
    let known: Option<Claim> = plan.reads().get(&key).await?;
    let (kind, name) = key;
    let version = known.as_ref().map_or(0, |claim| claim.version);
    let held_until = Some(invitation.expires_at);
    plan.write_consequence(known.as_ref(), Claim { kind, name, owner: invitation.id.to_string(), held_until, version });
    Ok(())
}
