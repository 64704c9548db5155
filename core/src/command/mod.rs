//! The command `rolekeep` of the packages for Python and npm: they read the file and print what this answers.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod backup;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod migrate;
mod names;

pub use names::{Language, names};

use crate::{
    model::error::{Error, Problem, Reason, Result},
    operations::policy::state,
    rules::{Policy, RuleSet, Schema},
};

/// Printed where the arguments cannot be understood.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub const USAGE: &str = "\
usage: rolekeep check POLICY [--rules]
       rolekeep permissions POLICY --typescript | --python | --kotlin | --swift | --rust [--rules]
       rolekeep migrate status | plan | apply | down | grants [--sqlite FILE | --postgres URL] [--schema NAME] [--config FILE]
       rolekeep backup BACKUP [--sqlite FILE] [--schema NAME] [--config FILE] [--key-file FILE | --key-variable NAME]
       rolekeep verify BACKUP [--key-file FILE | --key-variable NAME]
       rolekeep restore BACKUP [--keep-sessions] [--end-api-keys] [and the options of backup]

check prints every problem of a policy; permissions prints its permissions and roles as source code.
POLICY is a file (.toml or .json), or preset:standard, preset:flyos.
--rules: the policy is for `Rules`, without a store, and has no resource types but those that it declares.

migrate is about the schema of a database: how far it is (status), the SQL that would be run (plan), running it (apply), taking the
newest step back (down), and SQL for roles of PostgreSQL (grants). The database may also be named by ROLEKEEP_SQLITE or
ROLEKEEP_POSTGRES, or by the settings of FILE; a URL with a password only there, as every process sees arguments.

backup writes a whole database into the file BACKUP, verify reads one to its end and says what is in it, restore puts one into an empty
database. The key that seals it is in a file or a variable, never an argument; a URL of PostgreSQL is in ROLEKEEP_POSTGRES, or in FILE.
";

/// Printed where the arguments cannot be understood.
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
pub const USAGE: &str = "\
usage: rolekeep check POLICY [--rules]
       rolekeep permissions POLICY --typescript | --python | --kotlin | --swift | --rust [--rules]

check prints every problem of a policy; permissions prints its permissions and roles as source code.
POLICY is a file (.toml or .json), or preset:standard, preset:flyos.
--rules: the policy is for `Rules`, without a store, and has no resource types but those that it declares.
";

const PRESET: &str = "preset:";

/// What the process prints, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code: 0, 1 for a policy with errors, 2 for wrong arguments.
    pub code: u8,
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
}

/// What the arguments ask for.
struct Asked<'a> {
    policy: &'a str,
    /// None: only to be checked.
    language: Option<Language>,
    /// For `Rules`, without the library's own types.
    is_alone: bool,
}

/// The file that these arguments (without the program's name) name, if any.
pub fn file<T: AsRef<str>>(arguments: &[T]) -> Option<&str> {
    asked(arguments).map(|asked| asked.policy).filter(|policy| !policy.starts_with(PRESET))
}

/// Runs it on the content of [`file()`].
///
/// ```
/// let arguments = ["check", "policy.toml"];
/// assert_eq!(rolekeep::command::file(&arguments), Some("policy.toml"));
/// let output = rolekeep::command::run(&arguments, Some(b"[roles.clerk]"), false);
/// assert_eq!((output.code, output.err.as_str()), (0, ""));
/// ```
pub fn run<T: AsRef<str>>(arguments: &[T], contents: Option<&[u8]>, is_colored: bool) -> Output {
    let Some(asked) = asked(arguments) else {
        return Output { code: 2, out: String::new(), err: USAGE.to_owned() };
    };
    match answer(&asked, contents) {
        Ok(out) => Output { code: 0, out, err: String::new() },
        Err(error) => {
            let error = error.reported_of(asked.policy, is_colored);
            Output { code: 1, out: String::new(), err: format!("{error}\n") }
        }
    }
}

/// Runs it as a process: reads the file, prints, and returns the exit code.
#[cfg(not(target_arch = "wasm32"))]
pub fn main<T: AsRef<str>>(arguments: &[T]) -> u8 {
    use std::io::IsTerminal;
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        match words.split_first() {
            Some((&migrate::WORD, rest)) => return print(&migrate::run(rest)),
            Some((word, rest)) if backup::WORDS.contains(word) => return print(&backup::run(word, rest)),
            _ => {}
        }
    }
    let contents = match file(arguments).map(|file| (file, std::fs::read(file))) {
        None => None,
        Some((_, Ok(contents))) => Some(contents),
        Some((file, Err(problem))) => {
            eprintln!("{file}: {problem}");
            return 1;
        }
    };
    let is_colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print(&run(arguments, contents.as_deref(), is_colored))
}

/// Prints it; gives the exit code.
#[cfg(not(target_arch = "wasm32"))]
fn print(output: &Output) -> u8 {
    use std::io::Write;
    eprint!("{}", output.err);
    // Who reads it may have gone, as `head` does.
    match std::io::stdout().write_all(output.out.as_bytes()) {
        Ok(()) => output.code,
        Err(_) => 1,
    }
}

/// What comes of work that waits, on a thread of its own.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn waited(work: impl Future<Output = Result<String>>) -> Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime
        .map_err(|problem| Error::new(Reason::Internal, format!("no thread can be started: {problem}")))
        .and_then(|runtime| runtime.block_on(work));
    match answer {
        Ok(out) => Output { code: 0, out, err: String::new() },
        Err(error) => Output { code: 1, out: String::new(), err: format!("{error}\n") },
    }
}

fn answer(asked: &Asked<'_>, contents: Option<&[u8]>) -> Result<String> {
    let policy = match (asked.policy.strip_prefix(PRESET), contents) {
        (Some(preset), _) => Policy::preset(preset)?,
        (None, Some(bytes)) if asked.policy.ends_with(".json") => Policy::from_json(utf8(bytes)?)?,
        (None, Some(bytes)) => Policy::from_toml(utf8(bytes)?)?,
        (None, None) => return Err(Error::new(Reason::PolicyInvalid, "the policy file was not read")),
    };
    let rules = if asked.is_alone { RuleSet::compile(&policy, &Schema::new())? } else { state::compile(&policy)? };
    asked.language.map_or_else(|| Ok(String::new()), |language| names(&rules, language))
}

fn asked<T: AsRef<str>>(arguments: &[T]) -> Option<Asked<'_>> {
    let (options, words): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(AsRef::as_ref).partition(|word| word.starts_with("--"));
    let (alone, languages): (Vec<&str>, Vec<&str>) = options.into_iter().partition(|option| *option == "--rules");
    let is_alone = !alone.is_empty();
    match (words.as_slice(), languages.as_slice()) {
        (["check", policy], []) => Some(Asked { policy, language: None, is_alone }),
        (["permissions", policy], [language]) => {
            Some(Asked { policy, language: Some(language.trim_start_matches('-').parse().ok()?), is_alone })
        }
        _ => None,
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let before = String::from_utf8_lossy(before);
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let last = before.rsplit('\n').next().unwrap_or_default();
        let problem = Problem {
            line: narrow(before.matches('\n').count() + 1),
            column: narrow(last.chars().count() + 1),
            message: format!("byte {:#04x} is not valid UTF-8", rest.first().unwrap_or(&0)),
            help: Some("policy files are UTF-8".to_owned()),
        };
        Error::in_file(Reason::PolicyInvalid, "the policy file cannot be read", vec![problem])
    })
}
