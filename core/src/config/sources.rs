//! Where settings stand that are wrong: in which variable, or in which file.

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(super) use known::Sources;
#[cfg(all(feature = "deferred", target_arch = "wasm32"))]
pub(super) use nowhere::Sources;

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod known {
    use std::collections::BTreeMap;

    use crate::model::{
        decode::{FieldCode, FieldError},
        error::{Error, Result},
    };

    #[derive(Clone, Debug, Default)]
    pub(in crate::config) struct Sources {
        /// By the path of the setting: the variable or the file that gave it.
        by_path: BTreeMap<String, String>,
        /// What is wrong there, and no setting's value: it was left out.
        faults: Vec<FieldError>,
    }

    impl Sources {
        /// This one gave the setting, or a part of it.
        pub(in crate::config) fn gave(&mut self, path: &str, source: &str) {
            self.by_path.insert(path.to_owned(), source.to_owned());
        }

        /// Somebody else gave the whole setting.
        pub(in crate::config) fn forget(&mut self, key: &str) {
            self.by_path.retain(|path, _| !is_in(path, key));
        }

        /// Who gave this, or what it is in, or else a part of it.
        fn find(&self, path: &str) -> Option<&str> {
            let around = self.by_path.iter().rev().find(|(known, _)| is_in(path, known));
            let within = || self.by_path.iter().find(|(known, _)| is_in(known, path));
            around.or_else(within).map(|(_, source)| source.as_str())
        }

        /// What is wrong with the places themselves, and settings that are none or have another type than they should.
        pub(in crate::config) fn carry(&mut self, faults: Vec<FieldError>, wrong: Vec<FieldError>) {
            let wrong: Vec<FieldError> = wrong.into_iter().map(|field| self.named(field)).collect();
            self.faults = faults.into_iter().chain(wrong).collect();
        }

        /// Whether anything is.
        pub(in crate::config) fn is_faulty(&self) -> bool {
            !self.faults.is_empty()
        }

        /// What was found, by where it stands, and what is wrong beside that.
        pub(in crate::config) fn with_origins(&self, checked: Result<()>) -> Result<()> {
            if self.by_path.is_empty() && self.faults.is_empty() {
                return checked;
            }
            let found = checked.as_ref().err().map(Error::fields).unwrap_or_default().iter();
            // Whether settings go together can be said when all were understood.
            let found = found.filter(|field| self.faults.is_empty() || field.code != FieldCode::Disagrees);
            let all: Vec<FieldError> =
                self.faults.iter().cloned().chain(found.map(|field| self.named(field.clone()))).collect();
            if all.is_empty() { Ok(()) } else { Err(Error::config(all.into())) }
        }

        /// What was found alone, by where it stands.
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        pub(in crate::config) fn named_all(&self, found: Error) -> Error {
            Error::config(found.fields().iter().map(|field| self.named(field.clone())).collect::<Vec<_>>().into())
        }

        fn named(&self, mut field: FieldError) -> FieldError {
            if let Some(source) = self.find(&field.field) {
                field.message = format!("{} ({source})", field.message);
            }
            field
        }
    }

    /// Whether a path is this one, or leads to a part of it.
    fn is_in(path: &str, whole: &str) -> bool {
        path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

#[cfg(all(feature = "deferred", target_arch = "wasm32"))]
mod nowhere {
    use crate::model::error::Result;

    /// A page has no variables.
    #[derive(Clone, Debug, Default)]
    pub(in crate::config) struct Sources;

    impl Sources {
        pub(in crate::config) fn forget(&mut self, _: &str) {}

        pub(in crate::config) fn with_origins(&self, checked: Result<()>) -> Result<()> {
            checked
        }
    }
}
