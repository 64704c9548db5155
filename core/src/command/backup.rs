//! `rolekeep backup`, `verify` and `restore`: a whole database in a file and back, from a terminal.

use std::{
    env::VarError,
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{Output, USAGE, waited};
use crate::{
    backup::{
        self, BackupOptions, BackupSummary, RestoreOptions,
        file::{self, Unfinished},
    },
    config::{Config, Layers, without_line_end},
    manager::Builder,
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
    },
};

const BACKUP: &str = "backup";
const VERIFY: &str = "verify";
const RESTORE: &str = "restore";

/// The words that begin it.
pub(super) const WORDS: [&str; 3] = [BACKUP, VERIFY, RESTORE];

/// What the arguments ask for.
#[derive(Default)]
struct Asked {
    file: PathBuf,
    key: Option<Key>,
    layers: Option<Layers>,
    /// Settings of the arguments.
    given: Map<String, Value>,
    keeps_sessions: bool,
    ends_api_keys: bool,
}

/// Where the key is.
enum Key {
    File(PathBuf),
    Variable(String),
}

/// Runs it with the arguments behind the word.
pub(super) fn run(word: &str, arguments: &[&str]) -> Output {
    match asked(word, arguments) {
        Some(asked) => waited(answer(word, &asked)),
        None => Output { code: 2, out: String::new(), err: USAGE.to_owned() },
    }
}

fn asked(word: &str, arguments: &[&str]) -> Option<Asked> {
    let (file, mut options) = arguments.split_first().filter(|(file, _)| !file.starts_with("--"))?;
    let mut asked = Asked { file: file.into(), ..Asked::default() };
    let of_database = word != VERIFY;
    while let Some((name, rest)) = options.split_first() {
        options = match *name {
            "--keep-sessions" | "--end-api-keys" if word == RESTORE => {
                asked.keeps_sessions |= *name == "--keep-sessions";
                asked.ends_api_keys |= *name == "--end-api-keys";
                rest
            }
            _ => {
                let (value, rest) = rest.split_first()?;
                match *name {
                    "--key-file" if asked.key.is_none() => asked.key = Some(Key::File(value.into())),
                    "--key-variable" if asked.key.is_none() => asked.key = Some(Key::Variable((*value).to_owned())),
                    "--sqlite" if of_database => drop(asked.given.insert("sqlite".to_owned(), json!(value))),
                    "--schema" if of_database => drop(asked.given.insert("postgres_schema".to_owned(), json!(value))),
                    "--config" if of_database && asked.layers.is_none() => {
                        asked.layers = Some(Layers::of_process().file(value));
                    }
                    _ => return None,
                }
                rest
            }
        };
    }
    Some(asked)
}

async fn answer(word: &str, asked: &Asked) -> Result<String> {
    let key = asked.key.as_ref().map(Key::read).transpose()?;
    match word {
        BACKUP => {
            let config = asked.config()?;
            require_there(&config)?;
            let options = key.into_iter().fold(BackupOptions::new(), BackupOptions::key);
            let mut file = Unfinished::create(asked.file.clone())?;
            let summary = Builder::back_up(config, BufWriter::new(&mut file), &options).await?;
            file.keep()?;
            Ok(page(&summary))
        }
        RESTORE => {
            let options = RestoreOptions::new().keep_sessions(asked.keeps_sessions).end_api_keys(asked.ends_api_keys);
            let options = key.into_iter().fold(options, RestoreOptions::key);
            Builder::restore_alone(asked.config()?, file::open(&asked.file)?, &options).await?;
            Ok("restored\n".to_owned())
        }
        _ => Ok(page(&backup::verify(file::open(&asked.file)?, key.as_ref())?)),
    }
}

impl Asked {
    fn config(&self) -> Result<Config> {
        let given = Value::Object(self.given.clone()).to_string();
        self.layers.clone().unwrap_or_else(Layers::of_process).config(&given)
    }
}

/// A path with a slip would otherwise be a file of no bytes.
fn require_there(config: &Config) -> Result<()> {
    match &config.sqlite {
        Some(path) if !Path::new(path).exists() => {
            Err(Error::new(Reason::StorageMissing, format!("there is no file {path}")))
        }
        _ => Ok(()),
    }
}

impl Key {
    fn read(&self) -> Result<Secret> {
        let unread = |what: String| Error::new(Reason::ConfigInvalid, format!("the key cannot be read: {what}"));
        match self {
            Self::File(path) => {
                let text =
                    fs::read_to_string(path).map_err(|problem| unread(format!("{}: {problem}", path.display())))?;
                Ok(without_line_end(&text).into())
            }
            Self::Variable(name) => {
                let text = std::env::var(name).map_err(|problem| {
                    // What is no text is not printed: it may be the key.
                    let what = match problem {
                        VarError::NotPresent => "is not set",
                        VarError::NotUnicode(_) => "is not UTF-8",
                    };
                    unread(format!("the variable {name} {what}"))
                })?;
                Ok(text.into())
            }
        }
    }
}

/// A line for all of it, and one for each table.
fn page(summary: &BackupSummary) -> String {
    let seal = if summary.is_sealed { "sealed" } else { "not sealed" };
    let whole = format!(
        "schema {}, version {}, at {}, {} rows, {} bytes, {seal}\nsha256 {}\n",
        summary.schema, summary.version, summary.at, summary.rows, summary.bytes, summary.sha256
    );
    let tables = summary.tables.iter().map(|table| format!("{} {} {}\n", table.name, table.rows, table.sha256));
    std::iter::once(whole).chain(tables).collect()
}
