//! Groups themselves.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Group, GroupMember, members_of, name_taken, require_administrator_without, roles_of, target};
use crate::{
    model::{
        check::Checks,
        error::{Error, Result},
        id::{GroupId, UserId},
        page::{Page, PageRequest},
        patch::{Change, Patch},
        predicate::{Link, Predicate},
        record::Record,
        text,
        time::Time,
        user::User,
        value::Value,
    },
    operations::{
        Access, Operation, Visible,
        actor::Actor,
        listing,
        plan::{Plan, expect_version},
        reads::Reads,
        rights,
        roles::MAX_DESCRIPTION,
        services::Services,
        target::TargetRow,
    },
};

/// The longest name, in characters.
pub(super) const MAX_NAME: usize = 100;

/// Creates a group, without members and roles.
///
/// Permission `group:create`. Errors: `DUPLICATE_RESOURCE` for a taken name.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateGroup {
    /// Its name, at most 100 characters; unique, whatever the case.
    pub name: String,
    /// What it is for, at most 500 characters.
    pub description: Option<String>,
}

/// Gets a group.
///
/// Permission `group:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetGroup {
    /// The group's id.
    pub id: GroupId,
}

/// Lists the groups that the caller may see, newest first.
///
/// Permission `group:list`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListGroups {
    /// Only groups that this user is a member of, whom the caller must be allowed to read.
    pub user_id: Option<UserId>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Changes the given fields of a group; null clears the description.
///
/// Permission `group:update`. Errors: `CONFLICT` if `expected_version` is stale, `DUPLICATE_RESOURCE` for a taken name.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateGroup {
    /// The group's id.
    pub id: GroupId,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// Its name, at most 100 characters.
    pub name: Change<String>,
    /// What it is for, at most 500 characters.
    pub description: Patch<String>,
}

/// Deletes a group: its members no longer hold its roles, and roles held on it end.
///
/// Permission `group:delete`; of a group that has roles also `role:assign`, and for now `admin:all`, as it takes them from its members.
/// Errors: `CONFLICT` if `expected_version` is stale, and if no active administrator would be left.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteGroup {
    /// The group's id.
    pub id: GroupId,
    /// The version that the decision is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
}

#[boxed_async]
impl Operation for CreateGroup {
    type Target = ();
    type Valid = Group;

    const ACCESS: Access = Access::Permission("group:create");
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, now: Time) -> Result<Group> {
        let mut checks = Checks::default();
        let name = checks.field("name", text::name(&self.name, MAX_NAME)).unwrap_or_default();
        let description = self.description.as_deref();
        let description = checks.optional("description", description, |text| text::name(text, MAX_DESCRIPTION));
        checks.finish()?;
        let id = services.env.new_id()?;
        Ok(Group { id, name, description, member_count: 0, created_at: now, updated_at: now, version: 0 })
    }

    async fn plan(group: &Group, (): (), plan: &mut Plan<'_>) -> Result<Group> {
        rights::require_after(plan, "group:create", None, group).await?;
        plan.claim(Group::TYPE_OF_NAMES, &group.name, group.id).await.map_err(name_taken)?;
        Ok(plan.insert(group.clone()))
    }
}

impl Group {
    /// The kind of the claims on names of groups.
    pub(super) const TYPE_OF_NAMES: &'static str = "group";
}

#[boxed_async]
impl Operation for GetGroup {
    type Target = Group;
    type Valid = ();

    const ACCESS: Access = Access::Permission("group:read");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), group: Group, _: &mut Plan<'_>) -> Result<Group> {
        Ok(group)
    }
}

#[boxed_async]
impl Operation for ListGroups {
    type Target = ();
    type Valid = (PageRequest, Option<UserId>);

    const ACCESS: Access = Access::Permission("group:list");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        Ok((page, self.user_id))
    }

    async fn plan((page, user): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Page<Group>> {
        let filter = match user {
            Some(user) => of_user(plan, *user).await?,
            None => Predicate::Always,
        };
        listing::page(plan, page, "group:list", filter, listing::newest_first()).await
    }
}

/// A list's filter by member: a user that the caller may not see is in no group.
async fn of_user(plan: &Plan<'_>, user: UserId) -> Result<Predicate> {
    let user: Option<User> = plan.reads().get(&(user,)).await?;
    match user {
        Some(user) if plan.may(User::READ, &TargetRow::of(&user)).await? => {
            let [table, from, own, to] = [GroupMember::TABLE.name, "group_id", "id", "user_id"].map(Into::into);
            let link = Link { table, from, own, to, is_common: false };
            Ok(Predicate::Linked(link, Predicate::set([Value::Id(user.id.0)])))
        }
        _ => Ok(Predicate::Never),
    }
}

#[boxed_async]
impl Operation for UpdateGroup {
    type Target = Group;
    type Valid = UpdateGroup;

    const ACCESS: Access = Access::Permission("group:update");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UpdateGroup> {
        let mut checks = Checks::default();
        let name = self.name.try_map(|name| text::name(&name, MAX_NAME));
        let description = self.description.try_map(|text| text::name(&text, MAX_DESCRIPTION));
        let valid = UpdateGroup {
            name: checks.field("name", name).unwrap_or_default(),
            description: checks.field("description", description).unwrap_or_default(),
            ..self
        };
        checks.finish()?;
        Ok(valid)
    }

    async fn plan(change: &UpdateGroup, before: Group, plan: &mut Plan<'_>) -> Result<Group> {
        expect_version(change.expected_version, before.version)?;
        let mut after = before.clone();
        after.name = change.name.clone().apply(after.name);
        after.description = change.description.clone().apply(after.description);
        if after == before {
            return Ok(before);
        }
        after.updated_at = plan.now;
        rights::require_after(plan, "group:update", Some(&before), &after).await?;
        if after.name != before.name {
            let renamed = plan.rename(Group::TYPE_OF_NAMES, Some(&before.name), Some(&after.name), before.id).await;
            renamed.map_err(name_taken)?;
            // Explanations of what its members may do name it.
            let members = members_of(plan, [before.id]).await?;
            plan.move_authority_of(members.into_iter().map(|member| member.user_id).collect()).await?;
        }
        Ok(plan.update(&before, after))
    }
}

#[boxed_async]
impl Operation for DeleteGroup {
    type Target = Group;
    type Valid = Option<i64>;

    const ACCESS: Access = Access::Permission("group:delete");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Option<i64>> {
        Ok(self.expected_version)
    }

    async fn plan(expected_version: &Option<i64>, group: Group, plan: &mut Plan<'_>) -> Result<()> {
        let roles = roles_of(plan, group.id).await?;
        // One whose time is over gives nothing.
        if roles.iter().any(|role| role.valid_until.is_none_or(|until| until > plan.now)) {
            if !plan.may_everywhere("role:assign")? {
                return Err(Error::denied("role:assign"));
            }
            plan.require_administrator()?;
        }
        expect_version(*expected_version, group.version)?;
        let members: Vec<UserId> =
            members_of(plan, [group.id]).await?.into_iter().map(|member| member.user_id).collect();
        require_administrator_without(plan, &members, &roles).await?;
        plan.release(Group::TYPE_OF_NAMES, &group.name, group.id).await?;
        // Its members' guards move as their memberships go.
        plan.delete_with_owned(&group).await
    }
}
