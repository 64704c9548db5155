//! Feeding an import from a source of any size.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::Caller;
use crate::{
    model::{error::Result, id::ImportId},
    operations::imports::{
        BeginImport, FeedImport, FinishImport, ImportItem, ImportProgress, ImportStatus, ImportView, ResumeImport,
    },
};

/// So many bytes are fed at a time: about what one commit takes.
const PIECE: usize = 128 * 1024;
/// And of one record that is longer.
const LONGEST: usize = 1024 * 1024;

/// An import of users that is fed piece by piece; made by [`Caller::import_users`] and [`Caller::resume_import`].
///
/// Data is imported as it is fed, and is not kept in memory. An importer that is dropped leaves an import that can be resumed.
pub struct Importer {
    caller: Caller,
    import: ImportView,
    /// What has come; of it, what follows `used` was not read yet.
    held: Vec<u8>,
    used: usize,
    /// How many bytes are fed at a time.
    piece: usize,
}

impl Caller {
    /// Begins an import of users.
    ///
    /// ```
    /// # async fn import(um: rolekeep::UserManagement) -> rolekeep::Result<()> {
    /// use rolekeep::imports::{BeginImport, ImportFormat};
    ///
    /// let mut import = um.system().import_users(BeginImport::new("old-shop", ImportFormat::Csv)).await?;
    /// import.push(b"email,full_name\n").await?;
    /// for item in import.push(b"ada@example.org,Ada Lovelace\n").await? {
    ///     println!("{}: {}", item.number, item.outcome);
    /// }
    /// let done = import.finish().await?;
    /// assert_eq!(done.import.counts.created, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`BeginImport`].
    pub async fn import_users(&self, begin: BeginImport) -> Result<Importer> {
        Ok(Importer::of(self, self.run(begin).await?))
    }

    /// Resumes an import that was interrupted: its source is fed again from the beginning.
    ///
    /// # Errors
    /// Those of [`ResumeImport`].
    pub async fn resume_import(&self, id: impl Into<ImportId>) -> Result<Importer> {
        Ok(Importer::of(self, self.run(ResumeImport::new(id)).await?))
    }
}

impl Importer {
    fn of(caller: &Caller, import: ImportView) -> Self {
        Self { caller: caller.clone(), import, held: Vec::new(), used: 0, piece: PIECE }
    }

    /// The progress so far.
    pub fn import(&self) -> &ImportView {
        &self.import
    }

    /// Feeds the next bytes, and returns the results of the records that were imported by that: those of earlier bytes, or none yet. An
    /// import that has stopped reads nothing more.
    ///
    /// # Errors
    /// Those of [`FeedImport`]. What was imported stays; after a temporary error, such as [`Code::Unavailable`](crate::Code), the same
    /// importer may continue with the bytes that follow.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<Vec<ImportItem>> {
        let mut items = Vec::new();
        if !self.is_open() {
            return Ok(items);
        }
        self.held.drain(..std::mem::take(&mut self.used));
        self.held.extend_from_slice(bytes);
        while self.left().len() >= self.piece && self.is_open() {
            items.extend(self.feed(false).await?);
        }
        Ok(items)
    }

    /// Imports what is left, and ends the import.
    ///
    /// # Errors
    /// Those of [`FeedImport`] and [`FinishImport`].
    pub async fn finish(mut self) -> Result<ImportProgress> {
        let mut items = Vec::new();
        loop {
            let is_last = self.left().len() <= self.piece;
            if !self.is_open() {
                break;
            }
            items.extend(self.feed(is_last).await?);
            if is_last && self.left().is_empty() {
                break;
            }
        }
        if self.is_open() {
            self.import = self.caller.run(FinishImport::new(self.import.id)).await?;
        }
        Ok(ImportProgress { import: self.import, items })
    }

    /// Feeds all of a reader and ends the import; `progress` is called after each piece. Nothing more is read once the import has
    /// stopped.
    ///
    /// # Errors
    /// Those of [`push`](Self::push) and [`finish`](Self::finish); an error of the reader is their source, reason `invalid_input`.
    #[cfg(feature = "tokio")]
    pub async fn read(
        mut self,
        mut source: impl tokio::io::AsyncRead + Unpin,
        mut progress: impl FnMut(&ImportProgress),
    ) -> Result<ImportView> {
        use crate::model::error::{Error, Reason};

        let mut buffer = vec![0; PIECE];
        loop {
            let mut read = tokio::io::ReadBuf::new(&mut buffer);
            let poll = |cx: &mut std::task::Context<'_>| std::pin::Pin::new(&mut source).poll_read(cx, &mut read);
            let broken = |error| Error::new(Reason::InvalidInput, "the source cannot be read").with_source(error);
            std::future::poll_fn(poll).await.map_err(broken)?;
            let bytes = read.filled();
            if bytes.is_empty() {
                break;
            }
            let before = self.import.position;
            let items = self.push(bytes).await?;
            if self.import.position != before {
                progress(&ImportProgress { import: self.import.clone(), items });
            }
            if !self.is_open() {
                return Ok(self.import);
            }
        }
        let done = self.finish().await?;
        progress(&done);
        Ok(done.import)
    }

    fn is_open(&self) -> bool {
        self.import.status == ImportStatus::Open
    }

    /// What was not read yet: the beginning of a record.
    fn left(&self) -> &[u8] {
        &self.held[self.used..]
    }

    async fn feed(&mut self, is_last: bool) -> Result<Vec<ImportItem>> {
        let left = self.left();
        let piece = &left[..left.len().min(self.piece)];
        let feed =
            FeedImport { id: self.import.id, at: self.import.position, data: BASE64_STANDARD.encode(piece), is_last };
        let fed = self.caller.run(feed).await?;
        let used = usize::try_from(fed.import.position - self.import.position).unwrap_or_default();
        self.used = (self.used + used).min(self.held.len());
        // A record that is longer is fed whole.
        self.piece = if used == 0 { (self.piece * 2).min(LONGEST) } else { PIECE };
        self.import = fed.import;
        Ok(fed.items)
    }
}
