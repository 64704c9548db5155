//! The workload as JSON, so that other languages measure the same.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use rolekeep_lab::{Query, Size, Variant, Workload, ours};
use serde::Serialize;

#[derive(Serialize)]
struct Exported<'w> {
    /// A policy file's text.
    policy: String,
    permissions: Vec<String>,
    roles: BTreeMap<&'w str, Role<'w>>,
    users: BTreeMap<String, Vec<&'w str>>,
    queries: &'w [Query],
}

#[derive(Serialize)]
struct Role<'w> {
    inherits: Vec<&'w str>,
    grants: Vec<String>,
}

/// Writes it.
pub fn export(size: Size, queries: usize, out: &Path) -> Result<()> {
    let workload = Workload::draw(size, Variant::Plain, queries);
    let name = |role: u32| workload.roles[role as usize].name.as_str();
    let roles = workload.roles.iter().map(|role| {
        let inherits = role.inherits.iter().map(|junior| name(*junior)).collect();
        let grants = role.grants.iter().map(|grant| workload.permission_name(*grant)).collect();
        (role.name.as_str(), Role { inherits, grants })
    });
    let users = (0..workload.users).map(|user| {
        let held = workload.assignments(user).iter().map(|one| name(one.role));
        (Workload::user_id(user).to_string(), held.collect())
    });
    let exported = Exported {
        policy: ours::policy(&workload).to_json()?,
        permissions: (0..workload.permissions()).map(|one| workload.permission_name(one)).collect(),
        roles: roles.collect(),
        users: users.collect(),
        queries: &workload.queries,
    };
    Ok(fs::write(out, serde_json::to_string(&exported)?)?)
}
