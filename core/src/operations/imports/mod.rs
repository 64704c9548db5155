//! Importing users from files of other systems, in pieces (USR-8, decision 048).
//!
//! A file of any size is fed piece by piece; each piece is one commit of up to 500 accounts, which moves how far the import has
//! come. Nothing of it is held in memory beyond the piece, and an import that was broken off goes on where it was.
//!
//! | file | holds |
//! |---|---|
//! | `begin` | beginning an import, and going on with one |
//! | `feed` | the pieces |
//! | `finish` | its end |
//! | `view` | how far it has come, and what failed |
//! | `split` | where records end |
//! | `fields` | a record as fields by name |
//! | `candidate`, `hashes` | the account that a record of some system describes |
//! | `rows` | what becomes of it |
//! | `checked` | what would have become of it, for the records after it |

mod begin;
mod candidate;
mod checked;
mod feed;
mod fields;
mod finish;
mod hashes;
mod rows;
mod split;
mod view;

pub use crate::model::import::{
    ImportCounts, ImportFormat, ImportLevel, ImportOutcome, ImportShape, ImportStatus, OnExisting,
};
pub use begin::{BeginImport, FirebaseHashing, ResumeImport};
pub use feed::{FeedImport, ImportProgress};
pub use finish::{AbortImport, FinishImport};
pub use view::{GetImport, ImportItem, ImportView, ListImportFailures};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use super::{groups, plan::Plan};
use crate::model::{
    error::{Error, Reason, Result},
    id::ImportId,
    import::{Import, ImportOptions},
};

/// So long an import that nobody feeds may go on, and so long it is known what became of it, in seconds.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// The caller's import; that of others is there for administrators alone.
async fn own(plan: &mut Plan<'_>, id: ImportId) -> Result<Import> {
    let import: Import = plan.reads().require(&(id,), "import").await?;
    let is_own = import.started_by.is_some() && import.started_by == plan.actor.user_id();
    if is_own || plan.require_administrator().is_ok() { Ok(import) } else { Err(plan.hide("import")) }
}

/// What an import does beyond making accounts is for administrators: giving roles, themselves or by groups, and vouching for addresses.
fn require_may(plan: &Plan<'_>, options: &ImportOptions) -> Result<()> {
    if options.trust_verified_emails || !options.roles.is_empty() {
        plan.require_administrator()?;
    }
    if !options.groups.is_empty() {
        groups::require_may_add(plan)?;
    }
    Ok(())
}

/// A digest in the middle of its work, as text.
fn digest_text(digest: &Sha256) -> String {
    BASE64_STANDARD.encode(digest.serialize())
}

/// The same, read again.
fn digest_of(text: &str) -> Result<Sha256> {
    let damaged = || Error::new(Reason::Corrupt, "the digest of an import is damaged");
    if text.is_empty() {
        return Ok(Sha256::new());
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| damaged())?;
    let state = SerializedState::<Sha256>::try_from(&bytes[..]).map_err(|_| damaged())?;
    Sha256::deserialize(&state).map_err(|_| damaged())
}
