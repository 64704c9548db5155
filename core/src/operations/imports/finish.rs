//! The end of an import.

use base64::{Engine, prelude::BASE64_STANDARD};
use rolekeep_macros::{Describe, Input, boxed_async};

use super::{
    KEPT_SECONDS, checked,
    feed::{Batch, MOST_ATOMIC},
    own, require_may,
    view::ImportView,
};
use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::ImportId,
        import::{Import, ImportLevel, ImportPiece, ImportStatus, Reading},
        predicate::Predicate,
        record::Document,
        time::Time,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// Ends an import whose pieces have all been fed, the last one with `is_last`. An `atomic` import creates its accounts now.
///
/// Permission `user:import`, held everywhere, and what `imports.begin` says. Errors: `CONFLICT` if not everything has been fed. An
/// `atomic` import fails with the error of the first record that cannot be imported, and nothing is written: cancel it, or finish it once
/// the cause is removed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct FinishImport {
    /// The import.
    pub id: ImportId,
}

/// Cancels an import. Accounts that it created stay.
///
/// Permission `user:import`, held everywhere. Errors: `CONFLICT` for one that has ended.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AbortImport {
    /// The import.
    pub id: ImportId,
}

/// An import that is not over.
pub(super) async fn open(id: ImportId, plan: &mut Plan<'_>) -> Result<Import> {
    let import = own(plan, id).await?;
    match import.status {
        ImportStatus::Open if plan.now < import.expires_at => Ok(import),
        ImportStatus::Stopped => {
            Err(Error::new(Reason::WrongStatus, "too many of its records failed, so that this import has stopped"))
        }
        ImportStatus::Open | ImportStatus::Finished | ImportStatus::Aborted => {
            Err(Error::new(Reason::WrongStatus, "this import is over"))
        }
    }
}

#[boxed_async]
impl Operation for FinishImport {
    type Target = ();
    type Valid = ImportId;

    const ACCESS: Access = Access::Everywhere("user:import");
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ImportId> {
        Ok(self.id)
    }

    async fn plan(id: &ImportId, (): (), plan: &mut Plan<'_>) -> Result<ImportView> {
        let before = open(*id, plan).await?;
        require_may(plan, &before.options.0)?;
        if !before.reading.0.is_fed || before.reading.0.replayed.is_some() {
            let message = format!("not all of it has been fed: {} bytes have been read", before.position);
            return Err(Error::new(Reason::WrongStatus, message));
        }
        let mut after = before.clone();
        if before.options.0.atomic {
            make_all(&mut after, plan).await?;
        }
        let counts = &after.counts.0;
        let detail = format!("{} created, {} updated, {} failed", counts.created, counts.updated, counts.failed);
        plan.audit("imports.finish", Some(("import", id.to_string())), Some(detail));
        Ok(ImportView::of(end(&before, after, ImportStatus::Finished, plan).await?))
    }
}

#[boxed_async]
impl Operation for AbortImport {
    type Target = ();
    type Valid = ImportId;

    const ACCESS: Access = Access::Everywhere("user:import");
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ImportId> {
        Ok(self.id)
    }

    async fn plan(id: &ImportId, (): (), plan: &mut Plan<'_>) -> Result<ImportView> {
        let before = open(*id, plan).await?;
        if before.options.0.level != ImportLevel::Check {
            for piece in pieces(*id, plan).await? {
                plan.delete_consequence(&piece);
            }
        }
        plan.audit("imports.abort", Some(("import", id.to_string())), None);
        Ok(ImportView::of(end(&before, before.clone(), ImportStatus::Aborted, plan).await?))
    }
}

/// Nothing secret stays of an import that is over, and nothing of what it only checked.
pub(super) async fn end(before: &Import, after: Import, status: ImportStatus, plan: &mut Plan<'_>) -> Result<Import> {
    if before.options.0.level == ImportLevel::Check {
        checked::let_go(before.id, plan).await?;
    }
    let after = Import {
        status,
        hash_parameters: None,
        digest: String::new().into(),
        replayed_digest: None,
        updated_at: plan.now,
        expires_at: plan.now.plus_seconds(KEPT_SECONDS),
        ..after
    };
    Ok(plan.write_consequence(Some(before), after))
}

async fn pieces(id: ImportId, plan: &Plan<'_>) -> Result<Vec<ImportPiece>> {
    let mut pieces: Vec<ImportPiece> = plan.reads().all(Predicate::equals("import_id", id.0)).await?;
    pieces.sort_unstable_by_key(|piece| piece.at);
    Ok(pieces)
}

/// Makes all accounts of an import that is to be whole.
async fn make_all(import: &mut Import, plan: &mut Plan<'_>) -> Result<()> {
    let mut data = Vec::new();
    for piece in pieces(import.id, plan).await? {
        let bytes = BASE64_STANDARD.decode(piece.data.expose());
        data.extend(bytes.map_err(|_| Error::new(Reason::Corrupt, "a piece of an import is damaged"))?);
        plan.delete_consequence(&piece);
    }
    if i64::try_from(data.len()) != Ok(import.position) {
        return Err(Error::new(Reason::WrongStatus, "pieces of this import are gone; begin another one"));
    }
    import.reading = Document(Reading::default());
    let batch = Batch { data: &data, is_first: true, is_last: true, most: MOST_ATOMIC, is_whole: true };
    let done = batch.make(import, plan).await?;
    if done.used < data.len() {
        return Err(wrong("id", FieldCode::TooLong, format!("must have at most {MOST_ATOMIC} records")));
    }
    Ok(())
}
