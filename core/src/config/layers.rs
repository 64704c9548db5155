//! Settings from several places: a file, the environment, the program. Each is what the last of these says that gives it, and all
//! that are wrong are told at once, by where they stand.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::{Config, sources::Sources};
use crate::model::{
    decode::{FieldCode, FieldError, decode_within},
    error::{Error, Result},
    input::{self, Limits},
};

/// What the names of variables begin with.
const PREFIX: &str = "ROLEKEEP_";
/// A variable with this at its end names a file that has the value.
const FILE: &str = "_FILE";

/// Settings of which one is given in several ways: who says it in one way means it instead of what others said in another.
const INSTEAD: [&[Way]; 2] = [
    &[Way::of(&["preset"]), Way::of(&["policy_toml"]), Way::of(&["policy_json"]), Way::of(&["roles", "permissions"])],
    &[
        Way { says: &["sqlite"], beside: &["exclusive"] },
        Way { says: &["postgres"], beside: &["postgres_schema", "postgres_listener", "postgres_replica"] },
    ],
];

/// One of several ways to give something.
struct Way {
    /// Each of these says it.
    says: &'static [&'static str],
    /// These have no meaning without it.
    beside: &'static [&'static str],
}

impl Way {
    const fn of(says: &'static [&'static str]) -> Self {
        Self { says, beside: &[] }
    }
}

/// Settings from a file, and from variables such as those of the environment. What the program sets overrides both ([`Layers::config`]).
///
/// A setting's variable is `ROLEKEEP_` and its name in upper case; two underscores lead to a part of it: `ROLEKEEP_SESSION_SECONDS`,
/// `ROLEKEEP_ROLES__EDITOR`, `ROLEKEEP_TRUSTED_ISSUERS__0__ISSUER`. Numbers, `true` and `false` are written as in JSON, as are lists and
/// whole objects: `["10.0.0.0/8"]`. A variable that ends with `_FILE` names a file with the value, whose final line break is ignored:
/// `ROLEKEEP_SIGNING_KEY_FILE=/run/secrets/signing-key`. A variable with this prefix that is not a setting is an error, except for those
/// that Kubernetes sets for a service named `rolekeep`.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Layers {
    file: Option<Source>,
    variables: Vec<Source>,
}

/// A text and where it comes from; or why it cannot be had.
#[derive(Clone)]
struct Source {
    name: String,
    text: Result<String, String>,
}

impl std::fmt::Debug for Source {
    // It may be a secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.name)
    }
}

impl Layers {
    /// Neither a file nor variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The variables of this process, with the files that they name.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of_process() -> Self {
        std::env::vars_os().fold(Self::new(), |layers, (name, value)| match name.into_string() {
            Ok(name) => match value.into_string() {
                Ok(value) => layers.variable(name, value),
                Err(_) => layers.unreadable(name, "is not UTF-8"),
            },
            // It cannot begin as ours do.
            Err(_) => layers,
        })
    }

    /// Adds a variable; those without the prefix are ignored. A file that one names with `_FILE` is read at once; where there is no file
    /// system, its text is given instead.
    pub fn variable(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let is_file = name.starts_with(PREFIX) && name.ends_with(FILE);
        let text = match is_file && cfg!(not(target_arch = "wasm32")) {
            true => read(value.as_ref()).map_err(|why| format!("{value} {why}")),
            false => Ok(value),
        };
        self.plain(name, text)
    }

    /// Adds a variable whose value cannot be read, for this reason.
    pub fn unreadable(self, name: impl Into<String>, why: impl Into<String>) -> Self {
        self.plain(name.into(), Err(why.into()))
    }

    fn plain(mut self, name: String, text: Result<String, String>) -> Self {
        let is_ours = name.strip_prefix(PREFIX).is_some_and(|rest| !is_of_kubernetes(rest));
        if is_ours {
            self.variables.push(Source { name, text });
        }
        self
    }

    /// Adds a file with the names of the settings, in TOML if its name ends in `.toml`, otherwise in JSON; variables override it.
    pub fn file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.text_of(&path.display().to_string(), read(path))
    }

    /// What a file of this name has.
    pub(crate) fn text_of(mut self, name: &str, text: Result<String, String>) -> Self {
        self.file = Some(Source { name: name.to_owned(), text });
        self
    }

    /// The settings of the file, then those of the variables, then those that the program gives as JSON: an object with the names of the
    /// fields. If several name a policy or a storage, the last one counts.
    ///
    /// ```
    /// use rolekeep::Layers;
    ///
    /// let layers = Layers::new().variable("ROLEKEEP_SESSION_SECONDS", "43200").variable("ROLEKEEP_ROLES__EDITOR", r#"["document:edit"]"#);
    /// let config = layers.config(r#"{"issuer": "https://example.org"}"#)?;
    /// assert_eq!((config.session_seconds, config.issuer.as_str()), (43200, "https://example.org"));
    ///
    /// let wrong = Layers::new().variable("ROLEKEEP_SESSION_SECONDS", "long").variable("ROLEKEEP_MAX_SESSIONS", "0").config("{}");
    /// let message = wrong.unwrap_err().to_string();
    /// assert!(message.contains("ROLEKEEP_SESSION_SECONDS") && message.contains("ROLEKEEP_MAX_SESSIONS"), "{message}");
    /// # rolekeep::Result::<()>::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Reason::InvalidJson`](crate::Reason::InvalidJson) for what is given; [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid)
    /// with every setting that is unknown or has the wrong type. Invalid values are reported when the store is opened, also with their
    /// variable or file.
    pub fn config(&self, given: &str) -> Result<Config> {
        let config = self.carried(given)?;
        if config.sources.is_faulty() { config.check().map(|()| config) } else { Ok(config) }
    }

    /// The same, but what is wrong is told when the store is opened, together with all else.
    pub(crate) fn carried(&self, given: &str) -> Result<Config> {
        Ok(self.merge(given)?.config())
    }

    fn merge(&self, given: &str) -> Result<Merged> {
        let mut merged = Merged::default();
        if let Some(file) = &self.file {
            merged.take_file(file);
        }
        let mut variables: Vec<&Source> = self.variables.iter().collect();
        variables.sort_by(|one, other| order_of(&one.name).cmp(&order_of(&other.name)));
        // Of a list or an object that has nothing in it nothing is said.
        let named = variables.iter().filter(|variable| {
            !variable.text.as_ref().is_ok_and(|text| is_nothing(&typed(&setting_path(&variable.name), text)))
        });
        let keys: Vec<String> = named.map(|variable| setting_of(&variable.name)).collect();
        merged.make_room(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        for (at, variable) in variables.iter().enumerate() {
            let is_again =
                variables[..at].iter().any(|before| setting_path(&before.name) == setting_path(&variable.name));
            merged.take_variable(variable, is_again);
        }
        if let Json::Object(own) = input::read(given, limits())? {
            // Where a language has no "not given" of its own, it is null or empty.
            let own: Map<String, Json> = own.into_iter().filter(|(_, value)| !is_nothing(value)).collect();
            merged.make_room(&own.keys().map(String::as_str).collect::<Vec<_>>());
            for (key, value) in own {
                merged.sources.forget(&key);
                merged.settings.insert(key, value);
            }
            return Ok(merged);
        }
        Err(Error::invalid(vec![FieldError {
            field: String::new(),
            code: FieldCode::InvalidType,
            message: "expected an object".to_owned(),
        }]))
    }
}

/// Kubernetes gives such variables to every container where a service is called `rolekeep`.
fn is_of_kubernetes(rest: &str) -> bool {
    matches!(rest, "PORT" | "SERVICE_HOST") || rest.starts_with("PORT_") || rest.starts_with("SERVICE_PORT")
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|problem| format!("cannot be read: {}", problem.kind()))
}

/// What a file has that holds one value.
pub(crate) fn without_line_end(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.trim_end_matches('\r'))
}

fn limits() -> Limits {
    // A policy file may be in it, with every second letter escaped.
    Limits { bytes: 2 * Limits::ROWS.bytes, ..Limits::ROWS }
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// The setting that a variable gives, or gives a part of.
fn setting_of(name: &str) -> String {
    setting_path(name).swap_remove(0)
}

/// The way to what a variable gives.
fn setting_path(name: &str) -> Vec<String> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let name = name.strip_suffix(FILE).unwrap_or(name);
    name.split("__").map(str::to_ascii_lowercase).collect()
}

/// Where a variable comes among all: what is a whole before its parts, items as they are counted, a value before a file that has it.
fn order_of(name: &str) -> (Vec<(Option<usize>, String)>, &str) {
    let steps = setting_path(name).into_iter().map(|step| (step.parse().ok(), step));
    (steps.collect(), name)
}

/// As errors write it: `trusted_issuers[0].issuer`.
fn written(path: &[String]) -> String {
    let mut text = String::new();
    for (at, step) in path.iter().enumerate() {
        match step.parse::<usize>() {
            Ok(index) if at > 0 => text += &format!("[{index}]"),
            _ if at > 0 => text += &format!(".{step}"),
            _ => text += step,
        }
    }
    text
}

/// What the layers say together.
#[derive(Default)]
struct Merged {
    settings: Map<String, Json>,
    sources: Sources,
    /// What is wrong with the places themselves.
    faults: Vec<FieldError>,
}

impl Merged {
    fn fault(&mut self, path: &str, code: FieldCode, message: String) {
        self.faults.push(FieldError { field: path.to_owned(), code, message });
    }

    fn take_file(&mut self, file: &Source) {
        let read = file.text.clone().and_then(|text| match file.name.to_ascii_lowercase().ends_with(".toml") {
            true => of_toml(&text),
            false => match input::read(&text, limits()) {
                Ok(Json::Object(settings)) => Ok(settings),
                Ok(_) => Err("is no JSON object".to_owned()),
                // As any input.
                Err(problem) => Err(problem.message().trim_start_matches("the input ").to_owned()),
            },
        });
        match read {
            Ok(settings) => {
                settings.keys().for_each(|key| self.sources.gave(key, &file.name));
                self.settings = settings;
            }
            Err(problem) => self.fault("", FieldCode::InvalidFormat, format!("{} {problem}", file.name)),
        }
    }

    fn take_variable(&mut self, Source { name, text }: &Source, is_again: bool) {
        let path = setting_path(name);
        let shown = written(&path);
        self.sources.gave(&shown, name);
        let text = match text {
            Err(why) => return self.fault(&shown, FieldCode::InvalidFormat, format!("{why} ({name})")),
            Ok(_) if is_again => {
                return self.fault(&shown, FieldCode::Disagrees, format!("is given twice, once by a file ({name})"));
            }
            Ok(text) if name.ends_with(FILE) => without_line_end(text),
            Ok(text) => text,
        };
        let value = typed(&path, text);
        if put(&mut self.settings, &path, value).is_none() {
            let message = format!("is part of something that has no such part, or not yet the one before it ({name})");
            self.fault(&shown, FieldCode::Disagrees, message);
        }
    }

    /// Who names these means them instead of what does the same and was named before.
    fn make_room(&mut self, keys: &[&str]) {
        for ways in INSTEAD {
            let is_named = |way: &&Way| way.says.iter().any(|key| keys.contains(key));
            if ways.iter().any(|way| is_named(&way)) {
                let others = ways.iter().filter(|way| !is_named(way));
                for key in others.flat_map(|way| way.says.iter().chain(way.beside)) {
                    self.settings.remove(*key);
                    self.sources.forget(key);
                }
            }
        }
    }

    fn config(self) -> Config {
        let Self { settings, mut sources, faults } = self;
        let wrong = match decode_within::<Config>(Json::Object(settings.clone()), limits()) {
            Ok(config) if faults.is_empty() => return Config { sources, ..config },
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_told().0,
        };
        // The others are checked as if those were not given.
        let mut right = settings;
        let is_of = |field: &str, key: &str| {
            field.strip_prefix(key).is_some_and(|part| part.is_empty() || part.starts_with(['.', '[']))
        };
        right.retain(|key, _| !wrong.iter().any(|error| is_of(&error.field, key)));
        let config = decode_within::<Config>(Json::Object(right), limits()).unwrap_or_default();
        sources.carry(faults, wrong);
        Config { sources, ..config }
    }
}

/// The settings of a file in TOML.
fn of_toml(text: &str) -> Result<Map<String, Json>, String> {
    let read = toml::from_str(text).map_err(|problem| {
        let before = problem.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("is not valid TOML: line {}: {}", 1 + before.matches('\n').count(), problem.message())
    });
    let settings: Map<String, Json> = read?;
    // It has no null: what becomes one are numbers that JSON does not have.
    let unfit = settings.iter().find(|(_, value)| has_null(value)).map(|(key, _)| key);
    unfit.map_or(Ok(()), |key| Err(format!("says `nan` or `inf` in `{key}`, where a number is meant")))?;
    Ok(settings)
}

fn has_null(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(members) => members.values().any(has_null),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// The value of a text: the text itself where that will do, else what it says in JSON.
fn typed(path: &[String], text: &str) -> Json {
    let as_text = Json::String(text.to_owned());
    // A list begins with this item, so that nothing else is wrong with it.
    let alone: Vec<String> =
        path.iter().map(|step| step.parse::<usize>().map_or_else(|_| step.clone(), |_| "0".to_owned())).collect();
    let mut probe = Map::new();
    if put(&mut probe, &alone, as_text.clone()).is_none() {
        return as_text;
    }
    let shown = written(&alone);
    let errors = decode_within::<Config>(Json::Object(probe), limits()).err().map(|errors| errors.into_told().0);
    let is_other =
        errors.into_iter().flatten().any(|error| error.field == shown && error.code == FieldCode::InvalidType);
    match input::read(text, limits()) {
        Ok(value) if is_other && !value.is_string() => value,
        _ => as_text,
    }
}

/// Puts a value in its place; none where it has none.
fn put(settings: &mut Map<String, Json>, path: &[String], value: Json) -> Option<()> {
    let (first, rest) = path.split_first()?;
    let mut place = settings.entry(first.clone()).or_insert(Json::Null);
    for step in rest {
        let index = step.parse::<usize>().ok();
        if place.is_null() {
            *place = if index.is_some() { Json::Array(Vec::new()) } else { Json::Object(Map::new()) };
        }
        place = match (place, index) {
            (Json::Array(items), Some(index)) => {
                if index == items.len() {
                    items.push(Json::Null);
                }
                items.get_mut(index)?
            }
            (Json::Object(members), _) => members.entry(step.clone()).or_insert(Json::Null),
            _ => return None,
        };
    }
    *place = value;
    Some(())
}

impl Config {
    /// Reads the settings that the environment gives, as [`Layers`] says: `ROLEKEEP_SESSION_SECONDS=43200`. What the program sets
    /// afterwards overrides it; to override the policy or storage of the environment, use [`Layers::config`].
    ///
    /// # Errors
    /// Those of [`Layers::config`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn from_env() -> Result<Self> {
        Layers::of_process().config("{}")
    }

    /// The same, with a file in TOML (if its name ends in `.toml`) or JSON for settings that the environment does not give.
    ///
    /// # Errors
    /// Those of [`Layers::config`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn from_file_and_env(path: impl AsRef<Path>) -> Result<Self> {
        Layers::of_process().file(path).config("{}")
    }
}
