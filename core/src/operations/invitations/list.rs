//! Seeing invitations.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{INVITE, InvitationState};
use crate::{
    model::{
        error::Result,
        id::{GroupId, InvitationId, UserId},
        invitation::{Invitation, InvitationEnd, StoredRole},
        page::{Page, PageRequest},
        predicate::{Comparison, Predicate},
        record::Record,
        time::Time,
        value::Value,
    },
    operations::{Access, Operation, listing, plan::Plan, services::Services},
    storage::Query,
};

/// An invitation, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Invitation")]
#[non_exhaustive]
pub struct InvitationView {
    /// The invitation's id.
    pub id: InvitationId,
    /// The address that is invited.
    pub email: String,
    /// The roles that come with it, in addition to the default roles.
    pub roles: Vec<InvitationRole>,
    /// The groups that the user becomes a member of.
    pub groups: Vec<GroupId>,
    /// The inviter; none: the application itself.
    pub invited_by: Option<UserId>,
    /// Its status.
    pub state: InvitationState,
    /// When it was created.
    pub created_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// When it was accepted, revoked or replaced.
    pub ended_at: Option<Time>,
    /// The account that accepted it.
    pub accepted_by: Option<UserId>,
}

/// A role that comes with an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct InvitationRole {
    /// The role's name.
    pub role: String,
    /// Where: `global`, `region:ID`, `resource:TYPE:ID` or `KIND:ID`.
    pub scope: String,
    /// From when, inclusive; none: at once.
    pub valid_from: Option<Time>,
    /// Until when, exclusive; none: for ever.
    pub valid_until: Option<Time>,
}

/// Lists invitations, newest first, until 90 days after their end.
///
/// Permission `user:invite`: callers who hold it for all users see all invitations, others only their own.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListInvitations {
    /// Only those with this status. Default: all.
    pub state: Option<InvitationState>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
impl Operation for ListInvitations {
    type Target = ();
    type Valid = (Option<InvitationState>, PageRequest);

    const ACCESS: Access = Access::Permission("user:invite");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.state, self.page_request().checked()?))
    }

    async fn plan((state, page): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Page<InvitationView>> {
        let seen = match plan.actor.user_id() {
            Some(me) if !plan.may_everywhere(INVITE)? => Predicate::equals("invited_by", me.0),
            _ => Predicate::Always,
        };
        let filter = state.map_or(Predicate::Always, |state| standing(state, plan.now)).and(seen);
        let query = Query { order: listing::newest_first(), ..Query::of(Invitation::TABLE, filter) };
        let page: Page<Invitation> = listing::page_of(plan, page, query).await?;
        let now = plan.now;
        Ok(page.map(|invitation| InvitationView::of(invitation, now)))
    }
}

/// Those that stand so.
fn standing(state: InvitationState, now: Time) -> Predicate {
    let ended = |why: InvitationEnd| Predicate::equals("end_reason", why.as_str());
    let not_ended = || Predicate::equals("end_reason", Value::Null);
    let expires = |comparison| Predicate::Compare("expires_at".into(), comparison, Value::Time(now.as_microsecond()));
    match state {
        InvitationState::Open => not_ended().and(expires(Comparison::Greater)),
        InvitationState::Expired => not_ended().and(expires(Comparison::LessOrEqual)),
        InvitationState::Accepted => ended(InvitationEnd::Accepted),
        InvitationState::Revoked => ended(InvitationEnd::Revoked),
        InvitationState::Replaced => ended(InvitationEnd::Replaced),
    }
}

impl InvitationView {
    pub(super) fn of(invitation: Invitation, now: Time) -> Self {
        let state = match invitation.end_reason {
            Some(InvitationEnd::Accepted) => InvitationState::Accepted,
            Some(InvitationEnd::Revoked) => InvitationState::Revoked,
            Some(InvitationEnd::Replaced) => InvitationState::Replaced,
            None if invitation.is_open(now) => InvitationState::Open,
            None => InvitationState::Expired,
        };
        Self {
            id: invitation.id,
            groups: invitation.groups().to_vec(),
            email: invitation.email,
            roles: invitation.roles.0.into_iter().map(InvitationRole::of).collect(),
            invited_by: invitation.invited_by,
            state,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            ended_at: invitation.ended_at,
            accepted_by: invitation.accepted_by,
        }
    }
}

impl InvitationRole {
    fn of(stored: StoredRole) -> Self {
        let StoredRole { role, scope, valid_from, valid_until } = stored;
        Self { role, scope, valid_from, valid_until }
    }
}
