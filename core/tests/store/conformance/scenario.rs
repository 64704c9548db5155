//! Scenario files as data; a key that `tests/conformance/README.md` does not name is refused.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// A scenario with its full name and its store.
#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    pub store: Store,
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    store: Store,
    scenarios: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    covers: Vec<String>,
    store: Option<Store>,
    steps: Vec<Step>,
}

/// How the scenario's own store is opened and filled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    #[serde(default)]
    pub settings: Map<String, Json>,
    pub seed: Option<String>,
    #[serde(default)]
    pub notifier: bool,
}

/// A step as written. Which of its first keys is there says what is done.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub call: Option<String>,
    pub login: Option<Json>,
    pub authenticate: Option<Json>,
    pub act_as: Option<Json>,
    pub act_as_identity: Option<Json>,
    pub can: Option<String>,
    pub require: Option<String>,
    pub explain: Option<String>,
    pub can_somewhere: Option<String>,
    pub can_many: Option<Vec<Checked>>,
    pub has_role: Option<String>,
    pub require_role: Option<String>,
    pub is_administrator: Option<bool>,
    pub require_admin: Option<bool>,
    pub check_cached: Option<String>,
    pub check: Option<String>,
    pub check_many: Option<Vec<Checked>>,
    pub explain_user: Option<String>,
    pub position: Option<bool>,
    pub reopen: Option<bool>,
    pub switch: Option<String>,
    pub open: Option<Json>,
    pub mail: Option<String>,
    pub wait: Option<f64>,
    pub together: Option<Vec<Step>>,
    pub import: Option<Json>,

    #[serde(rename = "as")]
    pub caller: Option<String>,
    pub with: Option<Json>,
    pub text: Option<String>,
    pub pieces: Option<usize>,
    pub resume: Option<Json>,
    #[serde(default)]
    pub raw: bool,
    pub name: Option<String>,
    pub to: Option<String>,
    pub request: Option<Json>,
    pub resource: Option<Json>,
    pub user: Option<Json>,
    pub scope: Option<Json>,
    pub context: Option<Json>,
    pub at_least: Option<Json>,

    #[serde(default)]
    pub save: BTreeMap<String, String>,
    pub expect: Option<Json>,
    pub error: Option<Json>,
}

/// One check of many.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    pub user: Option<Json>,
    pub permission: String,
    pub resource: Option<Json>,
}

impl Scenario {
    /// The operations that it calls.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        let together = self.steps.iter().flat_map(|step| step.together.iter().flatten());
        self.steps.iter().chain(together).filter_map(|step| match &step.login {
            Some(_) => Some("sessions.login"),
            None => step.call.as_deref(),
        })
    }
}

/// Every scenario of every file, in order.
pub fn all() -> Vec<Scenario> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    files.into_iter().flat_map(|file| read(&file)).collect()
}

fn read(path: &std::path::Path) -> Vec<Scenario> {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let file: File = serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    let with_name = |written: Written| {
        let name = format!("{stem}: {}", written.name);
        assert!(!written.covers.is_empty(), "{name} covers nothing");
        let checks = written.steps.iter().any(|step| step.expect.is_some() || step.error.is_some());
        assert!(checks, "{name} expects nothing");
        Scenario { name, store: written.store.unwrap_or_else(|| file.store.clone()), steps: written.steps }
    };
    file.scenarios.into_iter().map(with_name).collect()
}
