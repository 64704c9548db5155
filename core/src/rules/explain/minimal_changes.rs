//! The smallest set of things that, were they otherwise, would turn a denial into an allow.

use super::{
    trace::Candidate,
    what_if::{Hypothesis, Inquiry, Step},
};

use crate::rules::{ADMIN, BoundScope, CompiledRole, Effect, FieldId, RoleAssignment, Root, Scope, Values, bind};

/// Sets of at most so many things are tried out in every part.
pub(super) const MAX_SEARCH: usize = 10;
/// So many grants are looked at closely, and so many roles that nobody gave.
const MAX_CLOSE: usize = 20;
const MAX_ROLES: usize = 200;
/// So many sets of fields are tried that a question could name instead.
const MAX_FIELD_SETS: usize = 8;

impl<'a> Inquiry<'a> {
    /// No proper part of these would do; empty where it is allowed as it is.
    pub(super) fn minimal_changes(&self) -> Hypothesis<'a> {
        let chain = || 0..self.chain.len();
        let all = self.questions().into_iter().map(|asked| chain().fold(asked, |all, who| self.changes_for(who, all)));
        let minimal = all.filter(|all| self.allows(all)).map(|all| self.shrunk(&all));
        minimal.filter(|changes| self.allows(changes)).min_by_key(|changes| self.rank(changes)).unwrap_or_default()
    }

    /// A role that is assigned changes more than what is held; one that administers changes everything;
    /// a policy is changed last.
    fn rank(&self, changes: &Hypothesis<'a>) -> (u8, usize) {
        let weights = changes.0.iter().map(|(_, step)| match step {
            Step::AddGrant => 3,
            Step::AssignRole(role) if self.rules.is_administrator(*role) => 2,
            Step::AssignRole(_) => 1,
            _ => 0,
        });
        (weights.max().unwrap_or(0), changes.count())
    }

    /// The question as it is, and as it could be asked instead. To name a resource is asked for first: it gives
    /// nobody anything.
    fn questions(&self) -> Vec<Hypothesis<'a>> {
        let named = self.question.resource.is_none().then_some(Some(Step::NameResource));
        let resources = named.into_iter().chain([None]);
        let fields: Vec<_> = self.field_sets().into_iter().map(|set| Some(Step::NameFields(set))).collect();
        let fields = || [None].into_iter().chain(fields.iter().cloned());
        let both = resources.flat_map(|resource| fields().map(move |fields| [resource.clone(), fields]));
        both.map(|steps| Hypothesis(steps.into_iter().flatten().map(|step| (0, step)).collect())).collect()
    }

    /// Of narrowed grants, the fields that the question could name: some of those that it names, or
    /// all of the grant where it names none.
    fn field_sets(&self) -> Vec<Vec<FieldId>> {
        let asked = self.question.fields;
        let mut sets: Vec<Vec<FieldId>> = Vec::new();
        for who in 0..self.chain.len() {
            let candidates = self.held_candidates(who);
            let narrowed =
                candidates.iter().filter_map(|one| self.rules.interner.field_sets.get(one.qualified.fields as usize));
            let is_asked = |field: &FieldId| asked.is_empty() || asked.contains(field);
            let mut found: Vec<Vec<FieldId>> =
                narrowed.map(|set| set.iter().map(|slot| FieldId(*slot)).filter(is_asked).collect()).collect();
            // What the principal and those on whose behalf it acts may all do.
            let both = sets.iter().flat_map(|one| found.iter().map(move |other| (one, other)));
            let common = both.map(|(one, other)| one.iter().filter(|field| other.contains(field)).copied().collect());
            found.extend(common.collect::<Vec<_>>());
            for set in found {
                if !set.is_empty() && set.len() != asked.len() && !sets.contains(&set) && sets.len() < MAX_FIELD_SETS {
                    sets.push(set);
                }
            }
        }
        sets
    }

    /// With what the principal, or one on whose behalf it acts, needs.
    fn changes_for(&self, who: usize, mut base: Hypothesis<'a>) -> Hypothesis<'a> {
        let (principal, permission) = (self.principal(who), self.question.permission);
        if !principal.is_active() {
            base.add(self.account(who), Step::Activate);
        }
        if !principal.is_within_key(permission.0) {
            // Nothing a key has matches it.
            let is_beyond = self.rules.permission_name(permission) == ADMIN;
            base.add(who, if is_beyond { Step::DropKey } else { Step::WidenKey });
        }
        if self.what_if(who, &base).allows() {
            return base;
        }
        let held = principal.assignments().filter_map(|held| self.administrator(Some(held), held.role));
        let mut found = self.by_administration(who, held.take(MAX_CLOSE), &base);
        found.extend(self.as_holder(who, &base));
        if found.is_empty() {
            let new = self.givers(true).first().and_then(|role| self.administrator(None, role.id));
            found = self.by_administration(who, new.into_iter(), &base);
        }
        if found.is_empty() {
            base.add(self.account(who), Step::AddGrant);
            return self.lifted(who, base);
        }
        found.into_iter().min_by_key(|changes| self.rank(changes)).unwrap_or(base)
    }

    /// By a role that administers, once it is held now, everywhere and actively.
    fn by_administration(
        &self,
        who: usize,
        candidates: impl Iterator<Item = Candidate<'a>>,
        base: &Hypothesis<'a>,
    ) -> Vec<Hypothesis<'a>> {
        let found = candidates.filter_map(|one| self.needed(who, &one, None, base));
        found.filter(|changes| self.what_if(who, changes).allows()).collect()
    }

    /// By grants of roles that are held, or else of roles that are not; denies lifted.
    fn as_holder(&self, who: usize, base: &Hypothesis<'a>) -> Option<Hypothesis<'a>> {
        let held = self.held_candidates(who);
        let mut changes = base.clone();
        for field in self.what_if(who, base).fields() {
            if !self.what_if(who, &changes).is_granted(field) {
                let by_held = self.nearest(who, &held, field, &changes);
                changes = by_held.or_else(|| self.nearest(who, &self.new_candidates(), field, &changes))?;
            }
        }
        let changes = self.lifted(who, changes);
        self.what_if(who, &changes).allows().then_some(changes)
    }

    /// By the grant that takes the fewest changes, with the denies that then are to be lifted.
    fn nearest(
        &self,
        who: usize,
        of: &[Candidate<'a>],
        field: Option<FieldId>,
        changes: &Hypothesis<'a>,
    ) -> Option<Hypothesis<'a>> {
        let mut found: Vec<_> = of.iter().filter_map(|one| self.needed(who, one, field, changes)).collect();
        found.sort_by_key(Hypothesis::count);
        found.truncate(MAX_CLOSE);
        found.into_iter().min_by_key(|changes| self.lifted(who, changes.clone()).count())
    }

    /// With what one grant lacks; none where no change could make it hold.
    pub(super) fn needed(
        &self,
        who: usize,
        candidate: &Candidate<'a>,
        field: Option<FieldId>,
        changes: &Hypothesis<'a>,
    ) -> Option<Hypothesis<'a>> {
        let Candidate { held, role, grant, qualified } = *candidate;
        if !self.rules.is_on(qualified.fields, field, false) {
            return None;
        }
        let mut next = changes.clone();
        if self.rules.is_held_back(self.principal(who), role) {
            next.add(who, Step::Prove);
        }
        if let Some(held) = held {
            // A role that administers gives something else only where it has an effect, and no more than it takes.
            let is_less = self.rules.is_administrator(role) && !grant.written.is_admin();
            if is_less && *held.scope() != BoundScope::Global {
                return None;
            }
            if !held.is_valid(self.cx(who).now()) {
                next.add(self.account(who), Step::MoveWindow(held.index()));
            }
            if !self.rules.has_active_junior(&self.what_if(who, &next).principal, role, grant.role.id) {
                next.add(who, Step::ActivateRole(if is_less { grant.role.id } else { role }));
            }
            self.cover_question(who, held, &mut next);
        } else {
            next.add(self.account(who), Step::AssignRole(role));
            if self.rules.activated_roles(&self.what_if(who, &next).principal, role).next().is_none() {
                next.add(who, Step::ActivateRole(role));
            }
        }
        let Some(condition) = self.rules.condition(qualified.condition) else { return Some(next) };
        let is_known = self.what_if(who, &next).cx().has_resource() || !condition.reads(Root::Resource);
        if is_known { self.turned(who, condition, true, &next) } else { None }
    }

    /// Makes a scope cover what the question is about, or everything where the role administers.
    fn cover_question(&self, who: usize, held: RoleAssignment<'a>, changes: &mut Hypothesis<'a>) {
        let what_if = self.what_if(who, changes);
        let Some(scope) = what_if.principal.assignments().nth(held.index()).map(|held| held.scope().clone()) else {
            return;
        };
        let is_administrator = self.rules.is_administrator(held.role);
        if scope == BoundScope::Global || !is_administrator && what_if.cx().covers(&scope) {
            return;
        }
        if let Some(kind) = scope.kind().filter(|_| changes.names_resource() && !is_administrator) {
            let mut bound = self.cx(who).ty.bound.iter();
            let has_kind = bound.any(|(of, _)| *of == kind || self.rules.lies_under(*of, kind));
            // A resource lies in one scope of a kind.
            let is_known = |place: &Scope| bind(self.rules.kinds(), place).kind() == Some(kind);
            if has_kind && !changes.resource_scopes().any(is_known) {
                return changes.add(0, Step::LieIn(held.written(self.rules.kinds())));
            }
        }
        changes.add(self.account(who), Step::MoveScope(held.index(), self.target(who, held)));
    }

    /// With no deny left that counts: its condition does not hold, where that can be and takes nothing away that is
    /// given, or else the role loses it.
    fn lifted(&self, who: usize, mut changes: Hypothesis<'a>) -> Hypothesis<'a> {
        for field in self.what_if(who, &changes).fields() {
            for (lift, condition) in self.what_if(who, &changes).denies(field) {
                let turned = condition.and_then(|condition| self.turned(who, condition, false, &changes));
                match turned.filter(|turned| self.still_grants(who, &changes, turned)) {
                    Some(turned) => changes = turned,
                    None => changes.add(0, lift),
                }
            }
        }
        // A test that turned may let another deny hold.
        for field in self.what_if(who, &changes).fields() {
            let denies = self.what_if(who, &changes).denies(field);
            denies.into_iter().for_each(|(lift, _)| changes.add(0, lift));
        }
        changes
    }

    /// Whether what was given before is given after, too, and those who ask before this one may still do it.
    fn still_grants(&self, who: usize, before: &Hypothesis<'a>, after: &Hypothesis<'a>) -> bool {
        let (was, is) = (self.what_if(who, before), self.what_if(who, after));
        let mut fields = is.fields().into_iter();
        fields.all(|field| !was.is_granted(field) || is.is_granted(field))
            && (0..who).all(|other| !self.what_if(other, before).allows() || self.what_if(other, after).allows())
    }

    /// The smallest part that does.
    fn shrunk(&self, changes: &Hypothesis<'a>) -> Hypothesis<'a> {
        let (said, steps): (Vec<_>, Vec<_>) = changes.0.iter().cloned().partition(|(_, step)| changes.is_detail(step));
        let with = |steps: &[_], said: &[_]| Hypothesis([steps, said].concat());
        let steps = smallest(&steps, |part| self.allows(&with(part, &said))).unwrap_or(steps);
        // Nor is more said of a resource that is to be named than it takes.
        let said = shrink(said, |part| self.allows(&with(&steps, part)));
        let mut small = with(&steps, &said);
        self.tell_denies(&mut small);
        small
    }

    /// Says of the resource to be named that the conditions do not hold of those denies that count as long
    /// as none is named; without that nobody would know which to name.
    fn tell_denies(&self, changes: &mut Hypothesis<'a>) {
        let unnamed = Hypothesis::default();
        for who in 0..self.chain.len() {
            for field in self.what_if(who, changes).fields() {
                for condition in self.what_if(who, &unnamed).denies(field).into_iter().filter_map(|deny| deny.1) {
                    self.pin_outcomes(who, condition, changes);
                }
            }
        }
    }

    /// Every allow that is held, whether it counts or not, in an order that edits do not change.
    pub(super) fn held_candidates(&self, who: usize) -> Vec<Candidate<'a>> {
        let held = self.principal(who).assignments();
        held.flat_map(|held| self.candidates(Some(held), held.role, Effect::Allow)).collect()
    }

    /// Those of roles that do not administer; those that have little come first.
    fn new_candidates(&self) -> Vec<Candidate<'a>> {
        let mut roles = self.givers(false);
        roles.sort_by_key(|role| role.closure.len());
        roles.into_iter().take(MAX_ROLES).flat_map(|role| self.candidates(None, role.id, Effect::Allow)).collect()
    }

    /// The roles that allow it somehow, by name: those that administer, or the others.
    pub(super) fn givers(&self, is_administrator: bool) -> Vec<&'a CompiledRole> {
        let permission = self.question.permission.0;
        let allows = |role: &&CompiledRole| {
            let is_qualified =
                || self.rules.qualified_grants(role.id, permission).any(|one| one.effect == Effect::Allow);
            role.is_administrator == is_administrator
                && (self.rules.permission_index.has(role.id, permission) || is_qualified())
        };
        let mut roles: Vec<_> = self.rules.live_roles().filter(allows).collect();
        roles.sort_by_key(|role| role.name());
        roles
    }
}

/// The smallest part that is enough; of large sets, one of which no part is.
pub(super) fn smallest<T: Clone>(of: &[T], is_enough: impl Fn(&[T]) -> bool) -> Option<Vec<T>> {
    if of.len() > MAX_SEARCH {
        return is_enough(of).then(|| shrink(of.to_vec(), is_enough));
    }
    let mut masks: Vec<u32> = (0..1_u32 << of.len()).collect();
    // Small ones first; of those the ones with earlier elements.
    masks.sort_by_key(|mask| mask.count_ones());
    let chosen = |mask: u32| of.iter().enumerate().filter(move |(bit, _)| mask >> bit & 1 == 1);
    let mut parts = masks.into_iter().map(|mask| chosen(mask).map(|(_, one)| one.clone()).collect::<Vec<T>>());
    parts.find(|part| is_enough(part))
}

/// Without what is not needed.
pub(super) fn shrink<T: Clone>(mut of: Vec<T>, is_enough: impl Fn(&[T]) -> bool) -> Vec<T> {
    let without = |of: &[T], at: usize| [&of[..at], &of[at + 1..]].concat();
    while let Some(less) = (0..of.len()).map(|at| without(&of, at)).find(|less| is_enough(less)) {
        of = less;
    }
    of
}
