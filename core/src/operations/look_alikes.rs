//! What the usernames that are there look like: noted when `username_profile` becomes `precis`, in pieces, as there may be many
//! (USR-9, decision 039).
//!
//! A claim says how far that is, and everybody who takes a username relies on it, by any profile: as soon as it is begun, whatever is new is
//! claimed with its looks, also by an instance that was opened before. It is never ended, so that nothing slips in meanwhile where a
//! profile is chosen, left and chosen again.

use std::collections::{BTreeMap, BTreeSet};

use super::{heard::HeardCommits, services::Services};
use crate::{
    config::Config,
    model::{
        error::{Error, Reason, Result},
        names::UsernameProfile,
        precis,
        predicate::Predicate,
        record::Record,
        registry::Claim,
        value::Value,
    },
    storage::{ChangeSet, Check, CommitError, Query, Window, Write},
};

/// So many names are gone through in one commit.
const BATCH: usize = 500;

/// So many such pieces before a store is open: those of most stores are done then.
const PIECES: usize = 20;

/// What comes behind the version while the names are being gone through.
const UNDER_WAY: &str = " under way";

/// The key of the claim that says how far it is.
pub(super) fn key() -> (String, String) {
    (Claim::LOOKS.to_owned(), String::new())
}

/// The key of the one that says up to which name; apart, since nobody relies on that.
fn place_key() -> (String, String) {
    (Claim::LOOKS.to_owned(), "at".to_owned())
}

/// Whether names are claimed with what they look like, and all are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// They are not.
    Unknown,
    /// New ones are, by this version of the tables; those that were there are being gone through.
    UnderWay([u64; 4]),
    /// All are.
    Kept([u64; 4]),
}

impl State {
    pub(super) fn of(claim: Option<&Claim>) -> Self {
        let Some(claim) = claim else { return Self::Unknown };
        let (version, is_under_way) = match claim.owner.strip_suffix(UNDER_WAY) {
            Some(version) => (version, true),
            None => (&*claim.owner, false),
        };
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or_default());
        let version = [(); 4].map(|()| numbers.next().unwrap_or_default());
        if is_under_way { Self::UnderWay(version) } else { Self::Kept(version) }
    }

    fn text(self) -> String {
        let text = |version: [u64; 4]| version.map(|number| number.to_string()).join(".");
        match self {
            Self::Unknown => String::new(),
            Self::UnderWay(version) => text(version) + UNDER_WAY,
            Self::Kept(version) => text(version),
        }
    }

    /// Whether a new username is claimed with what it looks like.
    ///
    /// # Errors
    /// [`Reason::NamesNotReady`] for one beyond ASCII where it is not known yet what all others look like. Those of ASCII are
    /// taken as before: of two that look alike the one was not safe from the other then either.
    pub(super) fn keeps(self, canonical: &str) -> Result<bool> {
        if self == Self::Kept(precis::version()) {
            return Ok(true);
        }
        if canonical.is_ascii() {
            return Ok(self != Self::Unknown);
        }
        let message = "usernames beyond ASCII are not given yet: what the names that are there look like is still being noted; try again later";
        Err(Error::new(Reason::NamesNotReady, message))
    }
}

/// Whether the names that are there have to be gone through, by this configuration.
pub(crate) fn are_wanted(config: &Config) -> bool {
    precis::IS_THERE && config.username_profile == UsernameProfile::Precis
}

/// Goes through names that were not gone through; whether there are more. Several instances may do so at the same time.
///
/// # Errors
/// Those of the storage; what went before stays done.
pub(crate) async fn run(services: &Services, commits: &dyn HeardCommits) -> Result<bool> {
    for piece in 0..PIECES {
        if piece > 0 {
            // A store in memory is never waited for.
            services.env.sleep(0).await;
        }
        if !go_on(services, commits).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Goes through the next names; whether there are more.
async fn go_on(services: &Services, commits: &dyn HeardCommits) -> Result<bool> {
    let found: Vec<Claim> = services.reads().many([key(), place_key()]).await?;
    let of = |key: (String, String)| found.iter().find(|claim| claim.name == key.1);
    let (kept, place) = (of(key()), of(place_key()));
    let current = precis::version();
    let mut piece = Piece::default();
    let is_begun = match State::of(kept) {
        State::Kept(version) | State::UnderWay(version) if version > current => {
            // Another instance of a later version of this library goes through them, by what it knows.
            return Ok(false);
        }
        State::Kept(version) if version == current => return Ok(false),
        State::UnderWay(version) => version == current,
        State::Unknown | State::Kept(_) => false,
    };
    if !is_begun {
        piece.put(kept, key(), State::UnderWay(current).text());
        if let Some(place) = place {
            piece.writes.push(Write::delete(place));
        }
        piece.commit(services, commits).await?;
        return Ok(true);
    }
    piece.checks.extend(kept.map(check));
    let names = next_names(services, place).await?;
    piece.claim_looks(services, &names).await?;
    let is_end = names.len() < BATCH;
    match names.last() {
        Some(last) if !is_end => piece.put(place, place_key(), last.name.clone()),
        _ => {
            piece.checks.clear();
            piece.put(kept, key(), State::Kept(current).text());
            piece.writes.extend(place.map(Write::delete));
        }
    }
    piece.checks.extend(names.iter().map(check));
    // Where another one was faster, it is seen next time how far that came.
    Ok(!piece.commit(services, commits).await? || !is_end)
}

/// The claims on names after those that were gone through.
async fn next_names(services: &Services, place: Option<&Claim>) -> Result<Vec<Claim>> {
    let after = place.map(|place| vec![Value::Text(Claim::USERNAME.to_owned()), Value::Text(place.owner.clone())]);
    let query = Query {
        window: Window { after, limit: Some(BATCH as u64), ..Window::default() },
        ..Query::of(Claim::TABLE, Predicate::equals("kind", Claim::USERNAME.to_owned()))
    };
    services.reads().query(&query).await
}

fn check(claim: &Claim) -> Check {
    Check { table: Claim::TABLE, key: claim.key(), expected: Some(claim.version) }
}

/// What is done in one commit.
#[derive(Default)]
struct Piece {
    checks: Vec<Check>,
    writes: Vec<Write>,
}

impl Piece {
    fn put(&mut self, before: Option<&Claim>, (kind, name): (String, String), owner: String) {
        let version = before.map_or(0, |before| before.version);
        let mut claim = Claim { kind, name, owner, held_until: None, version };
        self.writes.push(if before.is_some() { Write::update(&mut claim) } else { Write::insert(&mut claim) });
    }

    /// Claims what names look like for those who have them. Of those that look alike already nobody gets the look, now or later: each of
    /// them would free it for others by going.
    async fn claim_looks(&mut self, services: &Services, names: &[Claim]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let looks_of = |claim: &Claim| Claim::looks(Claim::USERNAME, &claim.name);
        let wanted: BTreeSet<(String, String)> = names.iter().flat_map(looks_of).collect();
        let owners = Predicate::set(names.iter().map(|claim| Value::Text(claim.owner.clone())));
        let of_owners = Predicate::In("owner".into(), owners).and(Predicate::equals("kind", Claim::LOOK.to_owned()));
        let owned: Vec<Claim> = services.reads().all(of_owners).await?;
        let found: Vec<Claim> = services.reads().many(wanted.iter().cloned()).await?;
        let before: BTreeMap<&str, &Claim> = found.iter().map(|claim| (&*claim.name, claim)).collect();
        let mut after: BTreeMap<String, String> =
            found.iter().map(|claim| (claim.name.clone(), claim.owner.clone())).collect();
        for claim in names {
            for (_, look) in looks_of(claim) {
                let owner = after.entry(look).or_insert_with(|| claim.owner.clone());
                if *owner != claim.owner {
                    owner.clear();
                }
            }
        }
        for (look, owner) in after {
            let before = before.get(&*look).copied();
            if before.is_none_or(|before| before.owner != owner) {
                self.put(before, (Claim::LOOK.to_owned(), look), owner);
            }
        }
        // By earlier tables they looked otherwise.
        let is_outdated = |claim: &&Claim| !wanted.contains(&(claim.kind.clone(), claim.name.clone()));
        self.writes.extend(owned.iter().filter(is_outdated).map(Write::delete));
        Ok(())
    }

    /// Whether it took place.
    async fn commit(self, services: &Services, commits: &dyn HeardCommits) -> Result<bool> {
        let Self { checks, writes } = self;
        let (id, at) = (services.env.new_id()?, services.now());
        let change_set = ChangeSet { id, at, checks, writes, audit: Vec::new(), events: Vec::new() };
        match commits.commit_heard(change_set).await {
            Ok(_) => Ok(true),
            // Another instance was first; the next piece sees what is left.
            Err(CommitError::Stale { .. }) => Ok(false),
            // Where the storage is out of reach, it is for a while.
            Err(CommitError::Unknown) => {
                Err(Error::new(Reason::StorageUnavailable, "it is not known whether it was written"))
            }
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_as_it_is_stored() {
        let kept =
            |state: State| Claim { kind: key().0, name: key().1, owner: state.text(), held_until: None, version: 1 };
        for state in [State::UnderWay([18, 0, 0, 1]), State::Kept([19, 0, 1, 22])] {
            assert_eq!(State::of(Some(&kept(state))), state);
        }
        assert_eq!(State::of(None), State::Unknown);
    }

    #[test]
    fn usr_9_beyond_ascii_once_all_are_known() {
        let current = precis::version();
        let other = [99, 0, 0, 1];
        assert_eq!(State::Kept(current).keeps("ñandú").ok(), Some(true));
        for state in [State::Unknown, State::UnderWay(current), State::UnderWay(other), State::Kept(other)] {
            assert_eq!(state.keeps("ñandú").unwrap_err().reason(), Reason::NamesNotReady);
            assert_eq!(state.keeps("nandu").ok(), Some(state != State::Unknown));
        }
    }
}
