//! How a store is opened where settings may come from a file and from the environment, too.

use serde::Deserialize;

use crate::{
    config::{Config, Layers},
    model::error::{Error, Reason, Result},
};

/// Where settings come from beside the program: `{"file": {"name": …, "text": …}, "variables": [{"name": …, "text": …}]}`.
#[derive(Deserialize)]
struct SettingSources {
    file: Option<SettingSource>,
    #[serde(default)]
    variables: Vec<SettingSource>,
}

/// A file or a variable. Where there is no file system the host has read what a file has, or says why it could not.
#[derive(Deserialize)]
struct SettingSource {
    name: String,
    text: Option<String>,
    problem: Option<String>,
}

impl SettingSource {
    fn read(self) -> (String, Result<String, String>) {
        (self.name, self.problem.map_or_else(|| Ok(self.text.unwrap_or_default()), Err))
    }
}

/// The settings that the program gives as JSON, and those of a file and of variables, as [`Layers`] says. What is wrong with
/// those is told when the store is opened.
///
/// # Errors
/// [`Reason::InvalidJson`], [`Reason::InvalidInput`]
pub fn config(given: &str, places: Option<&str>) -> Result<Config> {
    let Some(places) = places else { return Config::from_json(given) };
    let unfit = |problem| Error::new(Reason::InvalidInput, format!("the places of settings: {problem}"));
    let SettingSources { file, variables } = serde_json::from_str(places).map_err(unfit)?;
    let mut layers = variables.into_iter().fold(Layers::new(), |layers, variable| match variable.read() {
        (name, Ok(text)) => layers.variable(name, text),
        (name, Err(problem)) => layers.unreadable(name, problem),
    });
    if let Some(file) = file {
        layers = match cfg!(not(target_arch = "wasm32")) && file.text.is_none() {
            true => layers.file(file.name),
            false => {
                let (name, text) = file.read();
                layers.text_of(&name, text)
            }
        };
    }
    of_layers(&layers, given)
}

/// [`Layers::config`], but what is wrong with the places is told when the store is opened, together with all else.
///
/// # Errors
/// [`Reason::InvalidJson`], [`Reason::InvalidInput`]
pub fn of_layers(layers: &Layers, given: &str) -> Result<Config> {
    layers.carried(given)
}
