//! A row filter that knows whose it is, so that it is refused once their rights are others.

use super::Caller;
use crate::{
    model::{
        error::{Error, Reason, Result},
        predicate::Predicate,
        time::Time,
    },
    rules::RowFilter,
    storage::sql::{SqlCondition, TableMapping},
};

/// Which rows a caller may do something to. Made by [`Caller::filter`]; to be used within seconds, and only while the caller's rights and
/// the policy would still give the same filter.
///
/// Convert it right before the query, and keep the filter rather than its condition: only the filter can detect that it is outdated.
#[derive(Clone)]
pub struct CallerFilter {
    caller: Caller,
    permission: String,
    filter: RowFilter,
}

impl Caller {
    /// The rows to which the caller may do this, for lists: [`CallerFilter::to_sql`] returns the condition for your own query.
    /// Synchronous, without I/O; valid for a few seconds.
    ///
    /// # Errors
    /// As [`Caller::can`]; and [`Reason::InvalidInput`] if a rule reads an attribute that no column holds.
    pub fn filter(&self, permission: &str) -> Result<CallerFilter> {
        let filter = self.row_filter(permission, None)?;
        Ok(CallerFilter { caller: self.clone(), permission: permission.to_owned(), filter })
    }

    /// The filter by the rights of now, as of this moment or of now.
    fn row_filter(&self, permission: &str, at: Option<Time>) -> Result<RowFilter> {
        let of_host = || RowFilter::of_host(at.unwrap_or_else(|| self.engine.services.now()));
        self.ask(
            |rules| rules.permission(permission).map(drop),
            of_host,
            |rules, principal, clock| {
                let now = at.unwrap_or_else(|| clock.now());
                rules.filter(principal, rules.permission(permission)?, self.context(), now)
            },
        )
    }
}

impl CallerFilter {
    /// The condition for a query on a table of your own: a row passes if and only if [`Caller::can`] allows the same.
    ///
    /// # Errors
    /// [`Reason::RightsStale`] if the filter has expired, or the caller's rights or the policy have changed since;
    /// those of [`Caller::filter`]; [`Reason::InvalidInput`] naming every attribute that the mapping cannot express
    /// exactly.
    pub fn to_sql(&self, mapping: &TableMapping) -> Result<SqlCondition> {
        self.require_current()?;
        self.filter.to_sql(mapping, self.caller.engine.services.now())
    }

    /// The same condition as a predicate on attributes.
    ///
    /// # Errors
    /// As [`CallerFilter::to_sql`].
    pub fn predicate(&self) -> Result<&Predicate> {
        self.require_current()?;
        self.filter.predicate_at(self.caller.engine.services.now())
    }

    /// When the filter expires.
    pub fn expires(&self) -> Time {
        self.filter.expires()
    }

    /// Whether the rights of now would give the same, as of when it was made. Making a filter costs less than to keep
    /// count of all that it depends on, and tells a session that ended as well.
    fn require_current(&self) -> Result<()> {
        let same = self.caller.row_filter(&self.permission, Some(self.filter.made_at()))?;
        if same.says_as(&self.filter) {
            return Ok(());
        }
        let message = "the rights or the policy have changed since this row filter was made; make a new one";
        Err(self.caller.engine.stamped(Error::new(Reason::RightsStale, message), &self.caller.who.request))
    }
}
