//! Who is in a group. To make somebody a member gives the group's roles: it needs what giving roles needs (decision 005).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{
    Group, GroupMember, are_members, is_administrative, manage::MAX_NAME, members_of, require_administrator_without,
    roles_of, target, touch,
};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        id::{GroupId, UserId},
        input::Limits,
        page::{Page, PageRequest},
        predicate::Predicate,
        text,
        time::Time,
        user::{User, UserStatus},
        value::Value,
    },
    operations::{
        Access, Operation, Visible,
        actor::Actor,
        fleet::{UserBrief, create::user_named},
        listing,
        plan::{Plan, no_such},
        reads::Reads,
        services::Services,
        target::TargetRow,
    },
    rules::Principal,
};

/// So many are added or removed at a time.
const MOST: usize = 1_000;
/// So many members a group has at most: whatever changes what they all may do is one commit.
const MOST_MEMBERS: i64 = 10_000;
/// So many groups a user is in at most.
const MOST_GROUPS: usize = 200;

/// Lists the members of a group that the caller may list, the newest accounts first.
///
/// Permissions `group:read` and `user:list`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListGroupMembers {
    /// The group's id.
    pub group_id: GroupId,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "GroupMember")]
#[non_exhaustive]
pub struct GroupMemberView {
    /// The user.
    pub user: UserBrief,
    /// Who added the member: a user's id, or `system`.
    pub added_by: String,
    /// When the member was added.
    pub added_at: Time,
}

/// Adds users to a group, in one commit: all, or none. Existing members stay members.
///
/// Permissions `role:assign`, and for now `admin:all`, as it gives them the group's roles; `group:read` and, of each user, `user:read`.
/// Errors: `VALIDATION_ERROR` naming each user that does not exist (`user_ids[3]`), `CONFLICT` if the group would have more than 10,000
/// members, or a user would be in more than 200 groups.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AddGroupMembers {
    /// The group's id.
    pub group_id: GroupId,
    /// The users to add; at most 1,000.
    pub user_ids: Vec<UserId>,
}

/// Removes users from a group, in one commit. Users who are not members are ignored.
///
/// Permissions as for `add_members`. Errors: `VALIDATION_ERROR` naming each user that does not exist, `CONFLICT` if no active administrator
/// would be left.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RemoveGroupMembers {
    /// The group's id.
    pub group_id: GroupId,
    /// The users to remove; at most 1,000.
    pub user_ids: Vec<UserId>,
}

#[boxed_async]
impl Operation for ListGroupMembers {
    type Target = Group;
    type Valid = PageRequest;

    const ACCESS: Access = Access::Permission("group:read");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.group_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        self.page_request().checked()
    }

    async fn plan(page: &PageRequest, group: Group, plan: &mut Plan<'_>) -> Result<Page<GroupMemberView>> {
        let is_there = Predicate::equals("status", UserStatus::Deleted.as_str()).negate();
        let filter = is_there.and(are_members([group.id], false));
        let users: Page<User> = listing::page(plan, page, "user:list", filter, listing::newest_first()).await?;
        let keys = users.items.iter().map(|user| (group.id, user.id));
        let members: Vec<GroupMember> = plan.reads().many(keys).await?;
        let members: HashMap<UserId, GroupMember> =
            members.into_iter().map(|member| (member.user_id, member)).collect();
        // Who left between the two reads is no member.
        let view = |user: &User| {
            let member = members.get(&user.id)?;
            let (added_by, added_at) = (member.added_by.clone(), member.added_at);
            Some(GroupMemberView { user: UserBrief::from(user.clone()), added_by, added_at })
        };
        let views = users.items.iter().filter_map(view).collect();
        Ok(users.with_items(views))
    }
}

#[boxed_async]
impl Operation for AddGroupMembers {
    type Target = Group;
    type Valid = Vec<UserId>;

    const ACCESS: Access = Access::Permission("role:assign");
    const LIMITS: Limits = Limits::ROWS;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.group_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Vec<UserId>> {
        few(self.user_ids)
    }

    async fn plan(asked: &Vec<UserId>, group: Group, plan: &mut Plan<'_>) -> Result<Group> {
        plan.require_administrator()?;
        let (users, members) = users_named(plan, &group, asked).await?;
        let new: Vec<UserId> = users.into_iter().filter(|user| !members.contains_key(user)).collect();
        if new.is_empty() {
            return Ok(group);
        }
        let count = group.member_count + i64::try_from(new.len()).unwrap_or(i64::MAX);
        if count > MOST_MEMBERS {
            return Err(too_many_members());
        }
        plan.move_authority_of(new.clone()).await?;
        // Once the guards are read: who puts them into another group meanwhile makes this stale.
        require_few_groups(plan, &new, 1).await?;
        for user_id in new {
            let (added_by, added_at) = (plan.actor.name(), plan.now);
            plan.write_consequence(None, GroupMember { group_id: group.id, user_id, added_by, added_at, version: 0 });
        }
        Ok(touch(plan, &group, count))
    }
}

#[boxed_async]
impl Operation for RemoveGroupMembers {
    type Target = Group;
    type Valid = Vec<UserId>;

    const ACCESS: Access = Access::Permission("role:assign");
    const LIMITS: Limits = Limits::ROWS;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.group_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Vec<UserId>> {
        few(self.user_ids)
    }

    async fn plan(asked: &Vec<UserId>, group: Group, plan: &mut Plan<'_>) -> Result<Group> {
        plan.require_administrator()?;
        let roles = roles_of(plan, group.id).await?;
        if roles.iter().any(|role| is_administrative(plan, role)) {
            // Whoever stays may be the last administrator.
            members_of(plan, [group.id]).await?;
        }
        let (_, gone) = users_named(plan, &group, asked).await?;
        if gone.is_empty() {
            return Ok(group);
        }
        let users: Vec<UserId> = gone.keys().copied().collect();
        require_administrator_without(plan, &users, &roles).await?;
        let count = group.member_count - i64::try_from(users.len()).unwrap_or(i64::MAX);
        plan.move_authority_of(users).await?;
        gone.values().for_each(|member| plan.delete_consequence(member));
        Ok(touch(plan, &group, count))
    }
}

/// Refuses who may not put users into groups; which groups and users it may see is another matter.
pub(in crate::operations) fn require_may_add(plan: &Plan<'_>) -> Result<()> {
    let Access::Permission(permission) = AddGroupMembers::ACCESS else { return Ok(()) };
    plan.require_administrator()?;
    if plan.may_everywhere(permission)? { Ok(()) } else { Err(Error::denied(permission)) }
}

/// The group of this name, whatever the case; one that the caller may not see is not there.
pub(in crate::operations) async fn named(plan: &mut Plan<'_>, name: &str) -> Result<Option<Group>> {
    let Ok(name) = text::name(name, MAX_NAME) else { return Ok(None) };
    let Some(holder) = plan.holder(Group::TYPE_OF_NAMES, &name).await? else { return Ok(None) };
    let Ok(id) = holder.parse::<GroupId>() else { return Ok(None) };
    seen(plan, id).await
}

/// Notes that more groups are named than a user may be in, or any in the store of a page, which has none.
pub(in crate::operations) fn check_few(checks: &mut Checks, groups: &[GroupId]) {
    if groups.len() > MOST_GROUPS {
        checks.error("groups", Invalid::new(FieldCode::TooLong, format!("must have at most {MOST_GROUPS} items")));
    } else if IS_PAGE && !groups.is_empty() {
        checks.add(no_such("groups", "group").fields());
    }
}

/// The groups that an input names by their ids, each once, noting those that are not there. One that the caller may not see is not there.
pub(in crate::operations) async fn named_by_id(
    plan: &mut Plan<'_>,
    checks: &mut Checks,
    ids: &[GroupId],
) -> Result<BTreeSet<GroupId>> {
    let mut named = BTreeSet::new();
    if ids.len() > MOST_GROUPS {
        return Ok(named);
    }
    plan.read_ahead::<Group>(ids.iter().map(|id| (*id,)).collect()).await?;
    for (at, id) in ids.iter().enumerate() {
        match seen(plan, *id).await? {
            Some(group) => drop(named.insert(group.id)),
            None => checks.add(no_such(&format!("groups[{at}]"), "group").fields()),
        }
    }
    Ok(named)
}

/// The group, if it is there and the caller may see it.
async fn seen(plan: &mut Plan<'_>, id: GroupId) -> Result<Option<Group>> {
    let Some(group) = plan.reads().get::<Group>(&(id,)).await? else { return Ok(None) };
    if plan.may(Group::READ, &TargetRow::of(&group)).await? {
        return Ok(Some(group));
    }
    drop(plan.hide("group"));
    Ok(None)
}

/// Plans that an account which is made becomes a member of groups, as `groups.add_members` would add it. They are fewer than a user may be in.
pub(in crate::operations) async fn add_new(plan: &mut Plan<'_>, user: &User, groups: &BTreeSet<GroupId>) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    require_may_add(plan)?;
    if !plan.may_after(User::READ, &TargetRow::of(user)).await? {
        return Err(Error::denied(User::READ));
    }
    for id in groups {
        let Some(group) = seen(plan, *id).await? else {
            let stored = plan.reads().get::<Group>(&(*id,)).await?;
            plan.rely_on_row(&(*id,), stored.as_ref());
            return Err(no_such("groups", "group"));
        };
        let by = plan.actor.name();
        add(plan, &group, user.id, &by)?;
    }
    Ok(())
}

/// Whether who invited may make somebody a member of these groups, by the rights that it has now; one that is gone is nobody's to fill.
pub(in crate::operations) async fn may_bring(
    plan: &mut Plan<'_>,
    inviter: Option<&Principal>,
    groups: &[GroupId],
) -> Result<bool> {
    let Access::Permission(permission) = AddGroupMembers::ACCESS else { return Ok(false) };
    let found: Vec<Group> = plan.reads().many(groups.iter().map(|id| (*id,))).await?;
    let Some(principal) = inviter.filter(|_| !groups.is_empty()) else { return Ok(found.len() == groups.len()) };
    if !plan.rules().holds_admin(principal, plan.now) || !plan.may_everywhere_as(principal, permission)? {
        return Ok(false);
    }
    for group in &found {
        if !plan.may_as(inviter, Group::READ, &TargetRow::of(group)).await? {
            return Ok(false);
        }
    }
    Ok(found.len() == groups.len())
}

/// Plans that a user becomes a member of the groups of an invitation, by who invited: whether that one may is asked by whoever calls this.
pub(in crate::operations) async fn bring(plan: &mut Plan<'_>, user: &User, groups: &[GroupId], by: &str) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    // Once the guard is read, as in `add_members`.
    plan.move_authority(user.id).await?;
    let held = memberships(plan, &[user.id]).await?;
    let is_new = |id: &&GroupId| !held.iter().any(|member| member.group_id == **id);
    let new: Vec<GroupId> = groups.iter().filter(is_new).copied().collect();
    require_few(&held, new.len())?;
    let groups: Vec<Group> = plan.reads().many(new.iter().map(|id| (*id,))).await?;
    for group in groups {
        add(plan, &group, user.id, by)?;
    }
    Ok(())
}

/// Plans that somebody who is none becomes a member.
fn add(plan: &mut Plan<'_>, group: &Group, user_id: UserId, by: &str) -> Result<()> {
    let count = group.member_count + 1;
    if count > MOST_MEMBERS {
        // Another one may leave meanwhile.
        plan.check(group);
        return Err(too_many_members());
    }
    let (added_by, added_at) = (by.to_owned(), plan.now);
    plan.write_consequence(None, GroupMember { group_id: group.id, user_id, added_by, added_at, version: 0 });
    touch(plan, group, count);
    Ok(())
}

fn too_many_members() -> Error {
    Error::new(Reason::LimitReached, format!("a group has at most {MOST_MEMBERS} members"))
}

fn few(users: Vec<UserId>) -> Result<Vec<UserId>> {
    match users.len() {
        0..=MOST => Ok(users),
        _ => Err(wrong("user_ids", FieldCode::TooLong, format!("must have at most {MOST} items"))),
    }
}

/// The users that an input names, each once, and those of them who are members. One that the caller may not see is not there.
async fn users_named(
    plan: &mut Plan<'_>,
    group: &Group,
    asked: &[UserId],
) -> Result<(BTreeSet<UserId>, BTreeMap<UserId, GroupMember>)> {
    plan.read_ahead::<User>(asked.iter().map(|id| (*id,)).collect()).await?;
    let (mut checks, mut users) = (Checks::default(), BTreeSet::new());
    for (at, id) in asked.iter().enumerate() {
        match user_named(plan, &format!("user_ids[{at}]"), *id).await {
            Ok(user) => drop(users.insert(user.id)),
            Err(error) if error.reason() == Reason::InvalidInput => checks.add(error.fields()),
            Err(error) => return Err(error),
        }
    }
    checks.finish()?;
    let members: Vec<GroupMember> = plan.reads().many(users.iter().map(|user| (group.id, *user))).await?;
    Ok((users, members.into_iter().map(|member| (member.user_id, member)).collect()))
}

/// Refuses to put users into so many more groups who would be in more than there may be: whoever puts them into another meanwhile moves their
/// guards, too.
async fn require_few_groups(plan: &Plan<'_>, users: &[UserId], more: usize) -> Result<()> {
    require_few(&memberships(plan, users).await?, more)
}

/// The groups that users are in.
async fn memberships(plan: &Plan<'_>, users: &[UserId]) -> Result<Vec<GroupMember>> {
    let of_these = Predicate::set(users.iter().map(|user| Value::Id(user.0)));
    plan.reads().all(Predicate::In("user_id".into(), of_these)).await
}

fn require_few(members: &[GroupMember], more: usize) -> Result<()> {
    let mut counts: BTreeMap<UserId, usize> = BTreeMap::new();
    members.iter().for_each(|member| *counts.entry(member.user_id).or_default() += 1);
    match counts.iter().find(|(_, count)| **count + more > MOST_GROUPS) {
        Some((user, count)) => {
            let message = format!("a user is in at most {MOST_GROUPS} groups, and {user} is in {count}");
            Err(Error::new(Reason::LimitReached, message))
        }
        None => Ok(()),
    }
}
