//! Where a page ended, for the next one to go on. It has what rows are sorted by, such as names and addresses, and stands in URLs: so it is
//! sealed, by a key of the store, and opens for the list that it came from alone, whoever asks.

use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Error, Reason, Result},
        page::PageRequest,
        value::Value,
    },
    operations::services::Services,
};

/// Which list a page is of: the order of its rows, and what was asked for beside the page.
pub(super) struct List<'l> {
    services: &'l Services,
    order: &'l str,
    asked: &'l str,
}

impl<'l> List<'l> {
    pub(super) fn of(services: &'l Services, order: &'l str, request: &'l PageRequest) -> Self {
        Self::asked(services, order, &request.asked)
    }

    pub(super) fn asked(services: &'l Services, order: &'l str, asked: &'l str) -> Self {
        Self { services, order, asked }
    }

    /// The cursor of the row with these values in what rows are sorted by.
    pub(super) fn write(&self, after: &[Value]) -> Result<String> {
        let after = serde_json::to_string(after);
        let after = after.map_err(|_| Error::new(Reason::Internal, "a cursor cannot be written"))?;
        sealed::write(self.services, &[b"cursor", self.order.as_bytes(), self.asked.as_bytes()], &after)
    }

    /// The values in a cursor of this list.
    pub(super) fn read(&self, cursor: &str) -> Result<Vec<Value>> {
        let place: [&[u8]; 3] = [b"cursor", self.order.as_bytes(), self.asked.as_bytes()];
        let after = sealed::read(self.services, &place, cursor).ok_or_else(not_a_cursor)?;
        serde_json::from_str(&after).map_err(|_| not_a_cursor())
    }
}

pub(super) fn not_a_cursor() -> Error {
    wrong("cursor", FieldCode::InvalidFormat, "is not a cursor of this list, in this order")
}

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod sealed {
    use crate::{
        credentials::encryption::NONCE,
        model::error::{Error, Reason, Result},
        operations::services::Services,
    };

    pub(super) fn write(services: &Services, place: &[&[u8]], after: &str) -> Result<String> {
        let sealed = services.cursors.seal(place, after, services.env.random::<NONCE>()?)?;
        sealed.ok_or_else(|| Error::new(Reason::Internal, "there is no key for cursors"))
    }

    pub(super) fn read(services: &Services, place: &[&[u8]], cursor: &str) -> Option<String> {
        services.cursors.open(place, cursor).ok()?.map(|after| after.to_string())
    }
}

/// A page's store is its user's own: nothing is hidden there.
#[cfg(all(feature = "deferred", target_arch = "wasm32"))]
mod sealed {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use crate::{model::error::Result, operations::services::Services};

    pub(super) fn write(_: &Services, place: &[&[u8]], after: &str) -> Result<String> {
        let parts = [&place[1][..], after.as_bytes()];
        Ok(BASE64_URL_SAFE_NO_PAD.encode(parts.join(&b'\n')))
    }

    pub(super) fn read(_: &Services, place: &[&[u8]], cursor: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let after = bytes.strip_prefix(place[1])?.strip_prefix(b"\n")?;
        String::from_utf8(after.to_vec()).ok()
    }
}
