//! Who is measured, with which workloads.

use anyhow::{Context, Result};
use rolekeep_lab::{Size, Variant, Workload, floors, ours};

use crate::child::serve;
#[cfg(feature = "peers")]
use crate::peers;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Floor,
    Ours,
    #[cfg_attr(not(feature = "peers"), allow(dead_code, reason = "nobody is one"))]
    Peer,
}

/// One engine in one shape.
pub struct Contender {
    /// Its name in results.
    pub key: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// What it is.
    pub kind: Kind,
    /// How it came to know the hierarchy, and what else a reader should know.
    pub about: &'static str,
    /// The crate whose version is told.
    pub package: Option<&'static str>,
    /// Compared on all questions, however long that takes: what it remembers is what is timed.
    pub all: bool,
    /// Not tried where this one could not load: it loads the same.
    pub after: Option<&'static str>,
    /// With scopes and conditions.
    pub scoped: &'static [Size],
    /// Without.
    pub plain: bool,
    /// As a child.
    pub serve: fn(Workload) -> Result<()>,
}

const NEVER: &[Size] = &[];
#[cfg(feature = "peers")]
const SMALL: &[Size] = &[Size::S, Size::M];

/// Everybody.
pub const ALL: &[Contender] = &[
    Contender {
        key: "floor-ids",
        label: "floor: bit sets by ids",
        kind: Kind::Floor,
        about: "user -> role ids -> a row of bits for each role, closures included",
        package: None,
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<floors::Ids>,
    },
    Contender {
        key: "floor-strings",
        label: "floor: bit sets by strings",
        kind: Kind::Floor,
        about: "the same behind three hash maps (user, resource, action; hashbrown)",
        package: None,
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<floors::Strings>,
    },
    Contender {
        key: "floor-maps",
        label: "hand-written hash maps",
        kind: Kind::Floor,
        about: "`std` HashMap and HashSet by strings, closures flattened",
        package: None,
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<floors::Maps>,
    },
    Contender {
        key: "floor-ids-scoped",
        label: "floor: bit sets by ids",
        kind: Kind::Floor,
        about: "region compared, condition written in Rust",
        package: None,
        all: false,
        after: None,
        scoped: &Size::ALL,
        plain: false,
        serve: serve::<floors::ScopedIds>,
    },
    Contender {
        key: "floor-strings-scoped",
        label: "floor: bit sets by strings",
        kind: Kind::Floor,
        about: "the same behind three hash maps",
        package: None,
        all: false,
        after: None,
        scoped: &Size::ALL,
        plain: false,
        serve: serve::<floors::ScopedStrings>,
    },
    Contender {
        key: "ours-handles",
        label: "**Rolekeep, by handles**",
        kind: Kind::Ours,
        about: "user handle and permission id, from a snapshot at hand; the whole decision",
        package: Some("rolekeep"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<ours::Handles>,
    },
    Contender {
        key: "ours-newest",
        label: "**Rolekeep, by handles, newest**",
        kind: Kind::Ours,
        about: "the same, looking for the newest snapshot at each check",
        package: Some("rolekeep"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<ours::Newest>,
    },
    Contender {
        key: "ours-strings",
        label: "**Rolekeep, by strings**",
        kind: Kind::Ours,
        about: "the user's id as text and `resource:action`",
        package: Some("rolekeep"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<ours::Named>,
    },
    Contender {
        key: "ours-handles-scoped",
        label: "**Rolekeep, by handles**",
        kind: Kind::Ours,
        about: "the resource given as attributes",
        package: Some("rolekeep"),
        all: false,
        after: None,
        scoped: &Size::ALL,
        plain: false,
        serve: serve::<ours::ScopedHandles>,
    },
    Contender {
        key: "ours-strings-scoped",
        label: "**Rolekeep, by strings**",
        kind: Kind::Ours,
        about: "each attribute of the resource with its name",
        package: Some("rolekeep"),
        all: false,
        after: None,
        scoped: &Size::ALL,
        plain: false,
        serve: serve::<ours::ScopedNamed>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "rust-rbac",
        label: "rust-rbac",
        kind: Kind::Peer,
        about: "no hierarchy: flattened before; no denies, scopes or conditions",
        package: Some("rust-rbac"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::RustRbac>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "gatehouse",
        label: "gatehouse, by ids",
        kind: Kind::Peer,
        about: "no hierarchy and no store: the host's own tables by ids, flattened before",
        package: Some("gatehouse"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::Gatehouse>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "role-system",
        label: "role-system",
        kind: Kind::Peer,
        about: "its own hierarchy; cache off",
        package: Some("role-system"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::RoleSystem>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "role-system-cached",
        label: "role-system, cached",
        kind: Kind::Peer,
        about: "its cache of decisions on, and every decision in it",
        package: Some("role-system"),
        all: false,
        after: Some("role-system"),
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::RoleSystemCached>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "cedar-role-sets",
        label: "Cedar, role sets",
        kind: Kind::Peer,
        about: "its own hierarchy; one policy, an entity per permission with its roles; requests built before",
        package: Some("cedar-policy"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::CedarRoleSets>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "cedar-scoped",
        label: "Cedar, role sets",
        kind: Kind::Peer,
        about: "as without scopes, with roles and permissions per region as entities",
        package: Some("cedar-policy"),
        all: false,
        after: None,
        scoped: SMALL,
        plain: false,
        serve: serve::<peers::CedarScoped>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "cedar-per-grant",
        label: "Cedar, per grant",
        kind: Kind::Peer,
        about: "its own hierarchy; one linked policy per grant; requests built before",
        package: Some("cedar-policy"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::CedarPerGrant>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "regorus-vm",
        label: "regorus, virtual machine",
        kind: Kind::Peer,
        about: "closures flattened before, as data; inputs built before",
        package: Some("regorus"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::RegorusVm>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "regorus",
        label: "regorus, interpreter",
        kind: Kind::Peer,
        about: "closures flattened before, as data; inputs built before",
        package: Some("regorus"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::Regorus>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "oso",
        label: "Oso",
        kind: Kind::Peer,
        about: "a fact per grant; users and their flattened roles are the host's",
        package: Some("oso"),
        all: false,
        after: None,
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::Oso>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "casbin",
        label: "Casbin",
        kind: Kind::Peer,
        about: "its own hierarchy; the matcher's cheap comparisons first",
        package: Some("casbin"),
        all: false,
        after: None,
        scoped: SMALL,
        plain: true,
        serve: serve::<peers::Casbin>,
    },
    #[cfg(feature = "peers")]
    Contender {
        key: "casbin-cached",
        label: "Casbin, cached",
        kind: Kind::Peer,
        about: "its cached enforcer, with every decision in the cache",
        package: Some("casbin"),
        all: true,
        after: Some("casbin"),
        scoped: NEVER,
        plain: true,
        serve: serve::<peers::CasbinCached>,
    },
];

impl Contender {
    /// By its key.
    pub fn named(key: &str) -> Result<&'static Contender> {
        ALL.iter().find(|one| one.key == key).with_context(|| format!("there is no engine {key}"))
    }

    /// Whether it is measured with such a workload.
    pub fn takes(&self, size: Size, variant: Variant) -> bool {
        match variant {
            Variant::Plain => self.plain,
            Variant::Scoped => self.scoped.contains(&size),
            Variant::Denies | Variant::Windows | Variant::Resident => self.plain && self.kind == Kind::Ours,
            // Of what is not known there is no number.
            Variant::Unknown => variant.is_at(size) && ["floor-strings", "ours-strings"].contains(&self.key),
            Variant::Roles(_) | Variant::Hot | Variant::Wide => {
                let is_one = ["floor-ids", "floor-strings", "ours-handles", "ours-strings"].contains(&self.key);
                is_one && variant.is_at(size)
            }
        }
    }
}
