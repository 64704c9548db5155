//! Which scopes lie within which, as stored: decisions rest on it as they do on the policy, and it is in force together with it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        predicate::Predicate,
        registry::Guard,
        scope_row::ScopeRow,
    },
    operations::{plan::Plan, policy::state::PolicyState, reads::Reads},
    rules::{RuleSet, Scope},
};

/// So many scopes lie within others at most: all of them are in memory, and made again with each change.
const MOST: usize = 20_000;

/// Which scopes lie within which, at one version. Immutable, as the policy is.
#[derive(Default)]
pub struct Nesting {
    /// The version of the guard [`Guard::SCOPE_TREE`], which every change moves; 0: nothing lies within anything yet.
    pub version: i64,
    /// The outer scope of each that lies within one, as they are stored.
    above: BTreeMap<String, String>,
}

impl Nesting {
    /// What is stored, as of whatever moments it is read at.
    pub(super) async fn read(reads: Reads<'_>, version: i64) -> Result<Self> {
        if IS_PAGE || version == 0 {
            return Ok(Self::default());
        }
        let rows: Vec<ScopeRow> = reads.all(Predicate::Present("parent".into())).await?;
        let above = rows.into_iter().filter_map(|row| Some((row.scope, row.parent?)));
        Ok(Self { version, above: above.collect() })
    }

    /// Inner scopes, each with the outer one.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.above.iter().map(|(inner, outer)| (inner.as_str(), outer.as_str()))
    }

    /// The scope that a scope lies within.
    pub(in crate::operations) fn outer(&self, scope: &str) -> Option<&str> {
        self.above.get(scope).map(String::as_str)
    }

    /// How many lie within a scope, directly.
    pub(in crate::operations) fn count_within(&self, scope: &str) -> usize {
        self.pairs().filter(|(_, outer)| *outer == scope).count()
    }

    /// A scope that would not lie any more where it does.
    fn misfit(&self, rules: &RuleSet) -> Option<&str> {
        let scope = |text: &str| text.parse::<Scope>().unwrap_or(Scope::Global);
        let lies = |(inner, outer): &(&str, &str)| rules.may_lie_in(&scope(inner), &scope(outer));
        self.pairs().find(|pair| !lies(pair)).map(|(inner, _)| inner)
    }
}

/// Plans that a scope lies within another from now on, or within none. What is planned under another policy or other scopes is stale.
///
/// # Errors
/// [`Reason::LimitReached`].
pub(in crate::operations) fn nest(plan: &mut Plan<'_>, scope: &str, outer: Option<&str>) -> Result<()> {
    let now = plan.next_policy().unwrap_or_else(|| plan.actor.policy.clone());
    let mut above = now.nesting.above.clone();
    match outer {
        Some(outer) => above.insert(scope.to_owned(), outer.to_owned()),
        None => above.remove(scope),
    };
    require_room(&above)?;
    // Not the version of now but the one of this plan: whoever changed it since makes it stale.
    let guard = Guard { name: Guard::SCOPE_TREE.to_owned(), version: plan.actor.policy.nesting.version };
    let nesting = Nesting { version: guard.version + 1, above };
    plan.write_consequence(Some(&guard).filter(|guard| guard.version > 0), guard.clone());
    plan.next_policy = Some(Arc::new(now.nested(nesting)?));
    Ok(())
}

fn require_room(above: &BTreeMap<String, String>) -> Result<()> {
    match above.len() <= MOST {
        true => Ok(()),
        false => Err(Error::new(Reason::LimitReached, format!("at most {MOST} scopes lie within others"))),
    }
}

/// Refuses a policy under which stored scopes would not lie any more where they do.
///
/// # Errors
/// [`Reason::InUse`].
pub(super) fn require_fitting(next: &PolicyState) -> Result<()> {
    if IS_PAGE {
        return Ok(());
    }
    match next.nesting.misfit(&next.rules) {
        Some(scope) => {
            let message = format!("{scope} would not lie any more where it does; move it out first, or delete its row");
            Err(Error::new(Reason::InUse, message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, require_room};
    use crate::model::error::Reason;

    #[test]
    fn so_many_and_not_one_more() {
        let mut above = (0..MOST).map(|n| (format!("base:{n}"), "region:east".to_owned())).collect();
        assert!(require_room(&above).is_ok());
        above.insert("base:more".to_owned(), "region:east".to_owned());
        assert_eq!(require_room(&above).map_err(|error| error.reason()), Err(Reason::LimitReached));
    }
}
