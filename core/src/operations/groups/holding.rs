//! Who holds a role by a group.

use std::collections::BTreeSet;

use super::{Group, GroupMember, are_members, members_of};
use crate::{
    model::{
        error::Result,
        id::{GroupId, UserId},
        predicate::Predicate,
    },
    operations::{
        held::{self, Known},
        plan::Plan,
        roles::may_see,
    },
};

/// Users who hold a role by groups, now or later.
pub(in crate::operations) enum Holding {
    /// These, and what was read to find them.
    Users(Vec<UserId>, Known),
    /// So many that each user who is gone through is looked up as it comes.
    Those(Predicate, Known),
}

/// The users who hold a role by their groups, as far as the caller may see that. `visible` says which roles it sees of users, and `few` how
/// many users are found faster one by one.
pub(in crate::operations) async fn holding(
    plan: &Plan<'_>,
    role: &str,
    visible: &Predicate,
    few: u64,
) -> Result<Holding> {
    if *visible == Predicate::Never {
        return Ok(Holding::Users(Vec::new(), Known::default()));
    }
    let read = Predicate::equals("role", role);
    let mut roles = held::roles_of_groups(plan.reads(), read.clone()).await?;
    roles.retain(|given| !held::has_ended(given.valid_until, plan.now));
    let groups: BTreeSet<GroupId> = roles.iter().map(|given| given.group_id).collect();
    let mut known = Known { roles, read, ..Known::default() };
    if groups.is_empty() {
        return Ok(Holding::Users(Vec::new(), known));
    }
    let are_all_seen = *visible == Predicate::Always;
    if are_all_seen {
        let rows: Vec<Group> = plan.reads().many(groups.iter().map(|group| (*group,))).await?;
        let count: u64 = rows.iter().filter_map(|group| u64::try_from(group.member_count).ok()).sum();
        if count > few {
            return Ok(Holding::Those(are_members(groups, true), known));
        }
    }
    let members: Vec<GroupMember> = members_of(plan, groups.iter().copied()).await?;
    let mut users: BTreeSet<UserId> = BTreeSet::new();
    for (member, given) in held::each(&members, &known.roles) {
        if are_all_seen || !users.contains(&member.user_id) && may_see(plan, member.user_id, given).await? {
            users.insert(member.user_id);
        }
    }
    (known.members, known.complete) = (members, groups);
    Ok(Holding::Users(users.into_iter().collect(), known))
}
