//! Rules without accounts, for other languages: a policy and principals as JSON.

use serde_json::{Map, Value as Json};

use super::{
    RulesConfig, SqlFilter, SqlTable,
    questions::{self, Answer, Answers, Asked, answer, answer_deferred},
    rules_config,
};
use crate::{
    model::{
        decode,
        deferred::Deferred,
        error::Result,
        input::{Limits, read},
        time::Time,
    },
    rules::{Context, Explanation, Policy, Principal, PrincipalChecks, PrincipalData, Resource, Rules, Scope},
};

/// What browsers load on demand.
static DEFERRED: Deferred<Answer<BoundPrincipal>> = Deferred::new(answer_deferred::<BoundPrincipal>);

/// Makes those functions work here that browsers load on demand: policies in TOML, presets and the library's own types,
/// explanations, row filters as SQL.
pub fn load_deferred() {
    Policy::load_deferred();
    rules_config::load_deferred();
    DEFERRED.load(answer_deferred::<BoundPrincipal>);
}

/// Compiles a policy, given as [`RulesConfig`] in JSON.
///
/// # Errors
/// Those of [`RulesConfig::compile`].
pub fn compile(config: &str, clock: fn() -> Time) -> Result<Rules> {
    Ok(Rules::new(RulesConfig::compile(config)?, clock))
}

/// A principal and the rules that decide about it: other languages ask it as they ask a caller.
#[derive(Clone, Debug)]
pub struct BoundPrincipal {
    rules: Rules,
    principal: Principal,
    context: Context,
}

impl BoundPrincipal {
    /// Somebody, described as [`PrincipalData::from_json`] has it.
    ///
    /// # Errors
    /// Those of that, and of [`Rules::resolve_principal`].
    pub fn described(rules: &Rules, data: &str) -> Result<Self> {
        Ok(Self::new(rules, rules.resolve_principal(&PrincipalData::from_json(data)?)?))
    }

    /// Somebody who is not signed in.
    pub fn anonymous(rules: &Rules) -> Self {
        Self::new(rules, rules.anonymous())
    }

    fn new(rules: &Rules, principal: Principal) -> Self {
        Self { rules: rules.clone(), principal, context: Context::new() }
    }

    /// The same, where the policy's conditions read these values, too, as `context.…`: what is not given stays as it was.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`](crate::Reason::InvalidJson), [`Reason::InvalidInput`](crate::Reason::InvalidInput) for
    /// what is no object.
    pub fn with_context(&self, values: &str) -> Result<Self> {
        let values: Map<String, Json> = decode::decode(read(values, Limits::SMALL)?)?;
        Ok(Self { context: Context::of_json(values).over(&self.context), ..self.clone() })
    }

    /// Whether it may do this; a resource comes as JSON with its `type`.
    ///
    /// # Errors
    /// Those of [`Rules::check`], and [`Reason::InvalidInput`](crate::Reason::InvalidInput) for a resource that is none.
    pub fn can(&self, permission: &str, resource: Option<&str>) -> Result<bool> {
        let resource = resource.map(questions::resource).transpose()?;
        self.checks().check(&self.principal, permission, resource.as_ref())
    }

    /// Whether it may do this to anything at all.
    ///
    /// # Errors
    /// Those of [`Rules::can_somewhere`].
    pub fn can_somewhere(&self, permission: &str) -> Result<bool> {
        self.checks().can_somewhere(&self.principal, permission)
    }

    /// Asks by the name of the question, as [`super::ask`] does: `can_many`, `can_somewhere`, `explain`, `filter` and
    /// `has_role`.
    ///
    /// # Errors
    /// Those of the methods of [`Rules`], and as [`super::ask`].
    pub fn ask(&self, question: &str, input: &str) -> Result<String> {
        match question {
            "explain" | "filter" => DEFERRED.get()?(self, question, input),
            question => answer(self, question, &Asked::read(input)?),
        }
    }

    /// Questions under its circumstances.
    pub fn checks(&self) -> PrincipalChecks<'_> {
        self.rules.checks().context(&self.context)
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl Answers for BoundPrincipal {
    fn can_many(&self, checks: &[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        self.checks().check_many(&self.principal, checks)
    }

    fn can_somewhere(&self, permission: &str) -> Result<bool> {
        Self::can_somewhere(self, permission)
    }

    fn explain(&self, permission: &str, resource: Option<&Resource<'_>>) -> Result<Explanation> {
        self.checks().explain(&self.principal, permission, resource)
    }

    fn filter(&self, permission: &str, table: &SqlTable) -> Result<SqlFilter> {
        SqlFilter::of_rules(&self.checks().filter(&self.principal, permission)?, table)
    }

    fn has_role(&self, role: &str, scope: Option<&Scope>) -> Result<bool> {
        self.checks().has_role(&self.principal, role, scope)
    }
}
