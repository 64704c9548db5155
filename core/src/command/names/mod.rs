//! The names of a policy as source text, so that a misspelt permission does not compile.
//!
//! | file | writes |
//! |---|---|
//! | `unions` | types: TypeScript, Python |
//! | `constants` | constants: Kotlin, Swift, Rust |
//! | `spelling` | what a name becomes in a language |

/// Adds a line to a text.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($text:tt)*) => {{
        $out.push_str(&format!($($text)*));
        $out.push('\n');
    }};
}

mod constants;
mod spelling;
mod unions;

use std::collections::BTreeMap;

use rolekeep_macros::Word;

use crate::{
    model::error::{Error, Reason, Result},
    rules::{RoleInfo, RuleSet},
};

/// A language that the names of a policy can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word)]
pub enum Language {
    /// Union types, and callers that take nothing else.
    #[word("typescript")]
    TypeScript,
    /// `Literal` types.
    Python,
    /// Constants in objects.
    Kotlin,
    /// Constants in enums.
    Swift,
    /// Constants in modules.
    Rust,
}

/// The permissions and roles of a policy, those of the library included, as a source file.
///
/// ```
/// # use rolekeep::{command::{Language, self}, rules::{Policy, RuleSet, Schema}};
/// let policy = Policy::new().permissions(["user-group:set_status"]);
/// let names = command::names(&RuleSet::compile(&policy, &Schema::new())?, Language::Rust)?;
/// assert!(names.contains("pub mod user_group"));
/// assert!(names.contains(r#"pub const SET_STATUS: &str = "user-group:set_status";"#));
/// # Ok::<(), rolekeep::Error>(())
/// ```
///
/// # Errors
/// [`Reason::PolicyInvalid`] where two names become the same one in that language, with all of them.
pub fn names(rules: &RuleSet, language: Language) -> Result<String> {
    let names = Names::of(rules);
    let mut collisions = Vec::new();
    let text = match language {
        Language::TypeScript => unions::typescript(&names, &mut collisions),
        Language::Python => unions::python(&names, &mut collisions),
        Language::Kotlin => constants::kotlin(&names, &mut collisions),
        Language::Swift => constants::swift(&names, &mut collisions),
        Language::Rust => constants::rust(&names, &mut collisions),
    };
    if collisions.is_empty() {
        return Ok(text);
    }
    let message = format!("these names cannot be told apart in {}: {}", language.title(), collisions.join("; "));
    Err(Error::new(Reason::PolicyInvalid, message))
}

impl Language {
    /// As people write it.
    fn title(self) -> &'static str {
        match self {
            Language::TypeScript => "TypeScript",
            Language::Python => "Python",
            Language::Kotlin => "Kotlin",
            Language::Swift => "Swift",
            Language::Rust => "Rust",
        }
    }
}

/// A permission's action or a role, whole, and what it is for in one line.
struct Name {
    /// Its own part: `set_status`.
    own: String,
    /// `user-group:set_status`.
    whole: String,
    about: String,
}

/// What is written, in order.
struct Names {
    /// By resource type.
    types: BTreeMap<String, Vec<Name>>,
    roles: Vec<Name>,
}

impl Names {
    fn of(rules: &RuleSet) -> Self {
        let mut types: BTreeMap<String, Vec<Name>> = BTreeMap::new();
        for permission in rules.permissions() {
            let Some((resource, action)) = permission.name.split_once(':') else { continue };
            let about = spelling::one_line(&permission.about);
            let name = Name { own: action.to_owned(), whole: permission.name.clone(), about };
            types.entry(resource.to_owned()).or_default().push(name);
        }
        let role = |role: RoleInfo| {
            let about = spelling::one_line(&role.description.unwrap_or_default());
            Name { own: role.name.clone(), whole: role.name, about }
        };
        Self { types, roles: rules.roles().map(role).collect() }
    }
}

/// The identifiers of one scope, each with what it was made of.
#[derive(Default)]
struct Taken(BTreeMap<String, String>);

impl Taken {
    /// Notes that `name` becomes `identifier` in this scope.
    fn take(&mut self, identifier: String, name: &str, collisions: &mut Vec<String>) -> String {
        if let Some(other) = self.0.insert(identifier.clone(), name.to_owned()) {
            collisions.push(format!("`{other}` and `{name}` are both `{identifier}`"));
        }
        identifier
    }
}
