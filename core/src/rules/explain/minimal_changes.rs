//! The smallest set of things that, were they otherwise, would turn a denial into an allow.

use crate::rules::{
    compile::rule_set::FieldId,
    condition::{
        code::{Condition, Test},
        parser::Root,
    },
    policy::{Effect, name::ADMIN},
    scope::kind::BoundScope,
};

use super::{
    Candidate,
    condition_changes::{Flips, subsets, without},
    what_if::{Plan, Step, Target, World, key, reads},
};

/// Sets of at most so many steps are tried out in every part.
const MAX_SEARCH: usize = 10;
/// So many grants are looked at closely, and so many roles that nobody gave.
const MAX_CLOSE: usize = 20;
const MAX_ROLES: usize = 200;
/// So many sets of fields are tried that a question could name instead.
const MAX_FIELD_SETS: usize = 8;

/// A role that is assigned changes more than what is held; one that administers changes everything;
/// a policy is changed last.
fn rank(world: &World<'_>, plan: &Plan) -> (u8, usize) {
    let weights = plan.steps.iter().map(|step| match step {
        Step::AddGrant(_) => 3,
        Step::AssignRole(_, role) if world.rules.is_administrator(*role) => 2,
        Step::AssignRole(..) => 1,
        _ => 0,
    });
    (weights.max().unwrap_or(0), plan.steps.len())
}

impl<'a> World<'a> {
    /// No proper part of these steps would do; empty where it is allowed as it is.
    pub(in crate::rules) fn plan(&self) -> Plan {
        let plans = self.variants().into_iter().map(|plan| {
            let chain = 0..self.chain.len();
            let plan = chain.fold(plan, |plan, who| self.plan_for(who, plan));
            self.shrunk(plan)
        });
        plans.filter(|plan| self.allows(plan)).min_by_key(|plan| rank(self, plan)).unwrap_or_default()
    }

    /// The question as it is, and as it could be asked instead.
    fn variants(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        let mut fields = vec![None];
        fields.extend(self.field_sets().into_iter().map(Some));
        // To name a resource is asked for first: it gives nobody anything.
        for names_resource in [true, false] {
            if names_resource && self.question.resource.is_some() {
                continue;
            }
            for fields in &fields {
                let mut plan = Plan::default();
                if names_resource {
                    plan.add(Step::NameResource);
                }
                if let Some(fields) = fields {
                    plan.add(Step::NameFields(fields.clone()));
                }
                plans.push(plan);
            }
        }
        plans
    }

    /// Of narrowed grants, the fields that the question could name: some of those that it names, or
    /// all of the grant where it names none.
    fn field_sets(&self) -> Vec<Vec<FieldId>> {
        let asked = self.question.fields;
        let mut sets: Vec<Vec<FieldId>> = Vec::new();
        for who in 0..self.chain.len() {
            let narrowed: Vec<Vec<FieldId>> = self
                .held_candidates(who)
                .iter()
                .filter_map(|one| self.rules.interner.field_sets.get(one.fields as usize))
                .map(|set| set.iter().map(|slot| FieldId(*slot)))
                .map(|set| set.filter(|field| asked.is_empty() || asked.contains(field)).collect())
                .collect();
            // What all may do who ask together.
            let together: Vec<Vec<FieldId>> = sets
                .iter()
                .flat_map(|one| narrowed.iter().map(|other| one.iter().filter(|field| other.contains(field))))
                .map(|common| common.copied().collect())
                .collect();
            for set in narrowed.into_iter().chain(together) {
                if !set.is_empty() && set.len() != asked.len() && !sets.contains(&set) && sets.len() < MAX_FIELD_SETS {
                    sets.push(set);
                }
            }
        }
        sets
    }

    /// With what one of those needs who ask together.
    fn plan_for(&self, who: usize, plan: Plan) -> Plan {
        let mut base = plan;
        let principal = self.principal(who);
        if !principal.is_active() {
            base.add(Step::Activate(self.account(who)));
        }
        let permission = self.question.permission;
        if !principal.is_within_key(permission.0) {
            // Nothing a key has matches it.
            let is_beyond = self.rules.permission_name(permission) == ADMIN;
            base.add(if is_beyond { Step::DropKey(who) } else { Step::WidenKey(who) });
        }
        if self.allows_one(who, &base) {
            return base;
        }
        let mut plans = self.as_administrator(who, &base);
        plans.extend(self.as_holder(who, &base));
        if plans.is_empty() {
            plans.extend(self.as_new_administrator(who, &base));
        }
        if plans.is_empty() {
            let mut plan = base.clone();
            plan.add(Step::AddGrant(self.account(who)));
            plans.push(self.lifted(who, plan));
        }
        plans.into_iter().min_by_key(|plan| rank(self, plan)).unwrap_or(base)
    }

    /// By an assignment that administers, once it is held now, everywhere and actively.
    fn as_administrator(&self, who: usize, base: &Plan) -> Vec<Plan> {
        let held = self.principal(who).assignments().enumerate();
        let administrators = held.filter(|(_, held)| self.rules.is_administrator(held.role));
        let plans = administrators.take(MAX_CLOSE).map(|(at, held)| {
            let mut plan = base.clone();
            if !held.is_valid(self.cx(who).now()) {
                plan.add(Step::MoveWindow(self.account(who), at));
            }
            if *held.scope() != BoundScope::Global {
                plan.add(Step::MoveScope(self.account(who), at, Target::Everywhere));
            }
            if !self.parts(who, held.role, &plan).any(|role| self.rules.is_administrator(role)) {
                plan.add(Step::ActivateRole(who, held.role));
            }
            plan
        });
        plans.filter(|plan| self.allows_one(who, plan)).collect()
    }

    fn as_new_administrator(&self, who: usize, base: &Plan) -> Option<Plan> {
        let mut administrators: Vec<_> = self.rules.live_roles().filter(|role| role.is_administrator).collect();
        administrators.sort_by(|a, b| a.name().cmp(b.name()));
        let role = administrators.first()?.id;
        let mut plan = base.clone();
        self.assign(who, role, &mut plan);
        self.allows_one(who, &plan).then_some(plan)
    }

    fn assign(&self, who: usize, role: u32, plan: &mut Plan) {
        plan.add(Step::AssignRole(self.account(who), role));
        if self.parts(who, role, plan).next().is_none() {
            plan.add(Step::ActivateRole(who, role));
        }
    }

    /// By grants of roles that are held, or else of roles that are not; denies lifted.
    fn as_holder(&self, who: usize, base: &Plan) -> Option<Plan> {
        let held = self.held_candidates(who);
        let mut plan = base.clone();
        for field in self.fields(&plan) {
            if self.gives(who, field, &plan) {
                continue;
            }
            let by_held = self.nearest(who, &held, field, &plan);
            plan = match by_held {
                Some(plan) => plan,
                None => self.nearest(who, &self.new_candidates(), field, &plan)?,
            };
        }
        let plan = self.lifted(who, plan);
        self.allows_one(who, &plan).then_some(plan)
    }

    /// By the grant that takes the fewest steps, with the denies that then are to be lifted.
    fn nearest(&self, who: usize, of: &[Candidate<'a>], field: Option<FieldId>, plan: &Plan) -> Option<Plan> {
        let mut plans: Vec<Plan> = of.iter().filter_map(|one| self.needed(who, one, field, plan)).collect();
        plans.sort_by_key(|plan| plan.steps.len());
        plans.truncate(MAX_CLOSE);
        let lifted = plans.into_iter().map(|plan| {
            let denies = self.lifted(who, plan.clone());
            (denies.steps.len(), plan)
        });
        lifted.min_by_key(|(steps, _)| *steps).map(|(_, plan)| plan)
    }

    /// With what one grant lacks; none where no change could make it hold.
    pub(in crate::rules) fn needed(
        &self,
        who: usize,
        candidate: &Candidate<'a>,
        field: Option<FieldId>,
        plan: &Plan,
    ) -> Option<Plan> {
        let Candidate { held, role, grant, condition, fields } = *candidate;
        let mut next = plan.clone();
        if !self.rules.is_on(fields, field, false) {
            return None;
        }
        let condition = self.rules.condition(condition);
        if let Some((at, held)) = held {
            let is_administrator = self.rules.is_administrator(role);
            if !held.is_valid(self.cx(who).now()) {
                next.add(Step::MoveWindow(self.account(who), at));
            }
            let says = |part: u32| self.rules.roles.get(part as usize).is_some_and(|one| one.has_junior(grant.role.id));
            if !self.parts(who, role, &next).any(says) {
                // No more than it takes.
                next.add(Step::ActivateRole(who, if is_administrator { grant.role.id } else { role }));
            }
            let is_moved = next
                .steps
                .iter()
                .any(|step| matches!(step, Step::MoveScope(of, place, _) if (*of, *place) == (self.account(who), at)));
            let is_here = is_moved || self.reaches(who, held.scope(), &next);
            if is_administrator && *held.scope() != BoundScope::Global {
                return None;
            }
            if !is_here {
                self.reach(who, at, &held.written(self.rules.kinds()), held.scope(), &mut next);
            }
        } else {
            self.assign(who, role, &mut next);
        }
        if let Some(condition) = condition {
            if !self.has_resource(&next) && condition.reads(Root::Resource) {
                return None;
            }
            let flips = self.flips(who, condition, true, &next, &|_| true)?;
            self.settle(who, condition, &flips, &mut next);
        }
        Some(next)
    }

    /// Makes a scope cover what the question is about.
    fn reach(&self, who: usize, at: usize, written: &crate::rules::Scope, scope: &BoundScope, next: &mut Plan) {
        if next.names_resource()
            && let Some(kind) = scope.kind()
        {
            let bound = &self.cx(who).ty.bound;
            let has_kind = bound.iter().any(|(of, _)| *of == kind || self.rules.lies_under(*of, kind));
            // A resource lies in one scope of a kind.
            let is_free = next.named.within.iter().all(|(_, named)| named.kind() != Some(kind));
            if has_kind && is_free {
                next.named.within.push((written.clone(), scope.clone()));
                return;
            }
        }
        let target = if self.question.resource.is_some() { Target::Here } else { Target::Everywhere };
        next.add(Step::MoveScope(self.account(who), at, target));
    }

    /// Takes up how tests turn out. Of a resource that is to be named, all that the condition reads of it
    /// is settled, so that no other condition may ask for the contrary.
    fn settle(&self, who: usize, condition: &Condition, flips: &Flips, next: &mut Plan) {
        for (at, (test, holds)) in condition.tests.iter().zip(&flips.outcomes).enumerate() {
            if next.names_resource() && reads(test, Root::Resource) {
                next.named.tests.entry(key(self.account(who), condition, test)).or_insert(*holds);
            } else if flips.flipped.contains(&at) {
                next.add(Step::Meet(key(self.account(who), condition, test), *holds));
            }
        }
    }

    /// With every deny lifted that counts; a resource that is to be named is one that they are not about,
    /// as far as it can be.
    fn lifted(&self, who: usize, mut plan: Plan) -> Plan {
        for field in self.fields(&plan) {
            for (grant, condition) in self.denies(who, field, &plan) {
                let condition = self.rules.condition(condition).filter(|_| plan.names_resource());
                let reads_resource = |test: &Test| reads(test, Root::Resource);
                let flips = condition.and_then(|condition| {
                    self.flips(who, condition, false, &plan, &reads_resource).zip(Some(condition))
                });
                match flips {
                    Some((flips, condition)) => self.settle(who, condition, &flips, &mut plan),
                    None => plan.add(Step::LiftDeny(grant)),
                }
            }
        }
        plan
    }

    /// The smallest part that does.
    fn shrunk(&self, plan: Plan) -> Plan {
        if !self.allows(&plan) {
            return plan;
        }
        let with = |steps: Vec<Step>| Plan { steps, named: plan.named.clone() };
        let mut small = match plan.steps.len() <= MAX_SEARCH {
            true => subsets(&plan.steps).map(with).find(|part| self.allows(part)).unwrap_or_else(|| plan.clone()),
            false => {
                let mut steps = plan.steps.clone();
                while let Some(less) =
                    steps.iter().map(|one| without(&steps, one)).find(|less| self.allows(&with(less.clone())))
                {
                    steps = less;
                }
                with(steps)
            }
        };
        // Nor is more said of a resource that is to be named than it takes.
        for at in (0..small.named.within.len()).rev() {
            let mut less = small.clone();
            less.named.within.remove(at);
            small = if self.allows(&less) { less } else { small };
        }
        for key in small.named.tests.clone().into_keys() {
            let mut less = small.clone();
            less.named.tests.remove(&key);
            small = if self.allows(&less) { less } else { small };
        }
        self.tell_denies(&mut small);
        small
    }

    /// Says of the resource to be named that the conditions do not hold of those denies that count as long
    /// as none is named; without that nobody would know which to name.
    fn tell_denies(&self, plan: &mut Plan) {
        if !plan.names_resource() {
            return;
        }
        let unnamed = Plan::default();
        for who in 0..self.chain.len() {
            for field in self.fields(plan) {
                for (_, condition) in self.denies(who, field, &unnamed) {
                    let Some(condition) = self.rules.condition(condition) else { continue };
                    for test in condition.tests.iter().filter(|test| reads(test, Root::Resource)) {
                        let outcome = self.outcome(who, condition, test, plan);
                        plan.named.tests.entry(key(self.account(who), condition, test)).or_insert(outcome);
                    }
                }
            }
        }
    }

    /// Every allow that is held, whether it counts or not, in an order that edits do not change.
    pub(in crate::rules) fn held_candidates(&self, who: usize) -> Vec<Candidate<'a>> {
        let held = self.principal(who).assignments().enumerate();
        held.flat_map(|(at, held)| self.candidates(Some((at, held)), held.role, Effect::Allow)).collect()
    }

    /// Those of roles that do not administer.
    fn new_candidates(&self) -> Vec<Candidate<'a>> {
        let permission = self.question.permission.0;
        let mut roles: Vec<_> = self
            .rules
            .live_roles()
            .filter(|role| !role.is_administrator)
            .filter(|role| {
                let is_plain = self.rules.permission_index.has(role.id, permission);
                is_plain || role.special_of(permission).iter().any(|one| one.effect == Effect::Allow)
            })
            .collect();
        // Those that have little come first.
        roles.sort_by(|a, b| (a.closure.len(), a.name()).cmp(&(b.closure.len(), b.name())));
        roles.into_iter().take(MAX_ROLES).flat_map(|role| self.candidates(None, role.id, Effect::Allow)).collect()
    }
}
