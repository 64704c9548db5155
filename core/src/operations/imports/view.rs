//! How far an import has come, and what failed.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::own;
use crate::{
    model::{
        decode::FieldError,
        error::{Code, Result},
        id::{ImportId, UserId},
        import::{Import, ImportCounts, ImportFailure, ImportFormat, ImportOutcome, ImportShape, ImportStatus},
        page::{Page, PageRequest},
        predicate::Predicate,
        record::Record,
        time::Time,
    },
    operations::{Access, Operation, listing, plan::Plan, services::Services},
    storage::{Direction, Order, Query},
};

/// The progress of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Import")]
#[non_exhaustive]
pub struct ImportView {
    /// The import's id, by which it is resumed.
    pub id: ImportId,
    /// Where the users come from.
    pub source: String,
    /// The format of the data.
    pub format: ImportFormat,
    /// The system whose field names the records have.
    pub shape: ImportShape,
    /// Its status.
    pub status: ImportStatus,
    /// The next byte of the source to feed. After a resume, what was read before is fed again first.
    pub position: i64,
    /// Who feeds it; none: the application itself.
    pub started_by: Option<UserId>,
    /// The results of the records so far.
    pub counts: ImportCounts,
    /// When it began.
    pub created_at: Time,
    /// When it was last fed.
    pub updated_at: Time,
    /// When it expires, and is deleted.
    pub expires_at: Time,
}

/// The result of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ImportItem {
    /// The record's number, from 1; the header of a CSV does not count.
    pub number: i64,
    /// The user's id at the source.
    pub foreign_id: Option<String>,
    /// What happened to it.
    pub outcome: ImportOutcome,
    /// The account.
    pub user_id: Option<UserId>,
    /// The code of the error, if it failed.
    pub code: Option<Code>,
    /// What is wrong, in English.
    pub message: Option<String>,
    /// The invalid fields; if the account was created, those that were left out.
    pub errors: Vec<FieldError>,
}

impl ImportView {
    pub(super) fn of(import: Import) -> Self {
        let replayed = import.reading.0.replayed;
        let options = import.options.0;
        Self {
            id: import.id,
            source: options.source,
            format: options.format,
            shape: options.shape,
            status: import.status,
            position: replayed.unwrap_or(import.position),
            started_by: import.started_by,
            counts: import.counts.0,
            created_at: import.created_at,
            updated_at: import.updated_at,
            expires_at: import.expires_at,
        }
    }
}

impl From<ImportFailure> for ImportItem {
    fn from(failure: ImportFailure) -> Self {
        let problem = failure.problem.0;
        Self {
            number: failure.number,
            foreign_id: failure.foreign_id,
            outcome: failure.outcome,
            user_id: failure.user_id,
            code: problem.code,
            message: problem.message,
            errors: problem.errors,
        }
    }
}

/// Gets the progress of an import.
///
/// Permission `user:import`, held everywhere. Errors: `RESOURCE_NOT_FOUND` for one that somebody else began, unless the caller has `admin:all`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetImport {
    /// The import.
    pub id: ImportId,
}

/// Lists the records of an import that neither created nor changed an account and were not skipped, in order: those that failed, and
/// those whose account now has another address or is deleted.
///
/// Permission `user:import`, held everywhere. Errors: `RESOURCE_NOT_FOUND` for an import that somebody else began, unless the caller has `admin:all`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListImportFailures {
    /// The import.
    pub id: ImportId,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
impl Operation for GetImport {
    type Target = ();
    type Valid = ImportId;

    const ACCESS: Access = Access::Everywhere("user:import");
    const IS_READ: bool = true;
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ImportId> {
        Ok(self.id)
    }

    async fn plan(id: &ImportId, (): (), plan: &mut Plan<'_>) -> Result<ImportView> {
        Ok(ImportView::of(own(plan, *id).await?))
    }
}

#[boxed_async]
impl Operation for ListImportFailures {
    type Target = ();
    type Valid = (ImportId, PageRequest);

    const ACCESS: Access = Access::Everywhere("user:import");
    const IS_READ: bool = true;
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.id, self.page_request().checked()?))
    }

    async fn plan((id, page): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Page<ImportItem>> {
        own(plan, *id).await?;
        let filter = Predicate::equals("import_id", id.0);
        let order = vec![Order { column: "number".into(), direction: Direction::Ascending }];
        let query = Query { order, ..Query::of(ImportFailure::TABLE, filter) };
        let page: Page<ImportFailure> = listing::page_of(plan, page, query).await?;
        Ok(page.map(ImportItem::from))
    }
}
