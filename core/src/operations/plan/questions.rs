//! What the rules are asked while an operation is planned.

use super::{Plan, Writes};
use crate::{
    model::{
        error::{Error, Reason, Result},
        predicate::Predicate,
        record::ResourceRecord,
        user::User,
    },
    operations::{
        rights::kind_of,
        target::{self, TargetRow},
        users,
    },
    rules::{Principal, Question, Resource},
};

impl Plan<'_> {
    /// Which rows of a type the caller may see by a permission.
    pub fn visible(&self, permission: &str) -> Result<Predicate> {
        let rules = self.rules();
        let of_type = target::rows_of(rules, kind_of(permission));
        let Some(principal) = self.actor.principal() else { return Ok(of_type) };
        let filter = rules.filter(principal, rules.permission(permission)?, &self.actor.request.context, self.now)?;
        let filter = filter.into_predicate(self.now)?;
        let is_of_users = kind_of(permission) == User::TYPE;
        Ok(of_type.and(if is_of_users { users::rewrite(filter, self.now) } else { filter }))
    }

    /// A row as the rules read it, as it is stored, with the relations that the policy reads.
    pub async fn resource<'s>(&self, target: &'s TargetRow) -> Result<Resource<'s>> {
        target.image(self.rules(), &self.memory, None, self.now).await
    }

    /// Whether the caller may do this to a row as it is stored.
    pub async fn may(&self, permission: &str, target: &TargetRow) -> Result<bool> {
        self.may_to(self.actor.principal(), permission, target, None).await
    }

    /// The same of somebody else than the caller; none: the host, who may all.
    pub async fn may_as(&self, who: Option<&Principal>, permission: &str, target: &TargetRow) -> Result<bool> {
        self.may_to(who, permission, target, None).await
    }

    /// Whether the caller may do this to a row as the plan leaves it, its relations included.
    pub async fn may_after(&self, permission: &str, target: &TargetRow) -> Result<bool> {
        self.may_to(self.actor.principal(), permission, target, Some(&self.writes)).await
    }

    async fn may_to(
        &self,
        who: Option<&Principal>,
        permission: &str,
        target: &TargetRow,
        planned: Option<&Writes>,
    ) -> Result<bool> {
        let Some(principal) = who else { return Ok(true) };
        let resource = target.image(self.rules(), &self.memory, planned, self.now).await?;
        self.decide(principal, permission, Some(&resource))
    }

    /// Whether the caller may do this everywhere: to whatever there is.
    pub fn may_everywhere(&self, permission: &str) -> Result<bool> {
        match self.actor.principal() {
            Some(principal) => self.decide(principal, permission, None),
            None => Ok(true),
        }
    }

    /// The same of somebody else.
    pub fn may_everywhere_as(&self, who: &Principal, permission: &str) -> Result<bool> {
        self.decide(who, permission, None)
    }

    fn decide(&self, principal: &Principal, permission: &str, resource: Option<&Resource<'_>>) -> Result<bool> {
        let rules = self.rules();
        let (permission, context) = (rules.permission(permission)?, &self.actor.request.context);
        let question = Question { principal, permission, fields: &[], resource, context, now: self.now };
        Ok(rules.decide(&question)?.is_allowed())
    }

    /// Only holders of `admin:all`, and the host.
    pub fn require_administrator(&self) -> Result<()> {
        let is_administrator =
            self.actor.principal().is_none_or(|principal| self.rules().holds_admin(principal, self.now));
        if is_administrator { Ok(()) } else { Err(Error::new(Reason::Denied, "only administrators may do this")) }
    }
}
