//! All rows of a list, page after page.

use std::vec::IntoIter;

use super::Caller;
use crate::{
    model::{
        error::Result,
        page::{Page, Paged},
    },
    operations::{Listed, Operation},
};

/// The rows of a list, read page by page as needed. Made by [`Caller::all`].
///
/// A row that is created or deleted in the meantime may or may not be included; every other row is included exactly once.
#[must_use]
pub struct All<'c, L, T> {
    caller: &'c Caller,
    /// The next page; none after the last.
    list: Option<L>,
    items: IntoIter<T>,
}

impl Caller {
    /// All rows of a list, from the page that the input names, or the first one. `limit` is the number of rows read at a
    /// time.
    ///
    /// ```
    /// # use rolekeep::{UserManagement, users::{CreateUser, ListUsers}};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let um = UserManagement::builder().open().await?;
    /// # let me = um.system();
    /// # for name in ["ada", "bob", "cyd"] {
    /// #     me.users().create(CreateUser::new(format!("{name}@example.org"))).await?;
    /// # }
    /// let mut users = me.all(ListUsers::new().limit(2));
    /// let mut emails = Vec::new();
    /// while let Some(user) = users.next().await? {
    ///     emails.extend(user.email);
    /// }
    /// assert_eq!(emails, ["cyd@example.org", "bob@example.org", "ada@example.org"]);
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    pub fn all<L, T>(&self, list: L) -> All<'_, L, T>
    where
        L: Paged + Operation + Listed<Output = Page<T>>,
    {
        All { caller: self, list: Some(list), items: Vec::new().into_iter() }
    }
}

impl<L, T> All<'_, L, T>
where
    L: Paged + Operation + Listed<Output = Page<T>>,
{
    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// Those of the operation. No row is lost: the next call reads the same page again.
    pub async fn next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(item) = self.items.next() {
                return Ok(Some(item));
            }
            let Some(list) = &self.list else { return Ok(None) };
            let page = self.caller.run(list.clone()).await?;
            self.list = self.list.take().zip(page.next_cursor).map(|(list, cursor)| list.after(cursor));
            self.items = page.items.into_iter();
        }
    }

    /// The remaining rows.
    ///
    /// # Errors
    /// As [`All::next`].
    pub async fn collect(mut self) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }
}
