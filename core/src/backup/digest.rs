//! What has been written or read so far, as numbers that its end is compared with.

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

use super::format::{Trailer, check};
use crate::{
    credentials::keyed,
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
        text::{from_hex, hex},
    },
};

/// What the key is used for here.
const CONTEXT: &[u8] = b"rolekeep backup 1\0";

/// The lines of a backup.
pub(super) struct Digest {
    all: Sha256,
    mac: Option<Hmac<Sha256>>,
    pub(super) bytes: u64,
    pub(super) tables: u64,
    pub(super) rows: u64,
}

/// The rows of a table.
#[derive(Default)]
pub(super) struct TableDigest {
    hash: Sha256,
    pub(super) rows: u64,
}

impl Digest {
    /// # Errors
    /// [`Reason::ConfigInvalid`] for an empty key.
    pub(super) fn new(key: Option<&Secret>) -> Result<Self> {
        let empty = |_| Error::new(Reason::ConfigInvalid, "the key of a backup is empty");
        let mac = key.map(|key| keyed(key.expose().as_bytes()).map_err(empty)).transpose()?;
        let mac = mac.map(|mac| mac.chain_update(CONTEXT));
        Ok(Self { all: Sha256::new(), mac, bytes: 0, tables: 0, rows: 0 })
    }

    /// A line, with its end.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.bytes += line.len() as u64;
        self.all.update(line);
        if let Some(mac) = &mut self.mac {
            mac.update(line);
        }
    }

    /// What stands in the last line.
    pub(super) fn trailer(&self) -> Trailer {
        let mac = self.mac.clone().map(|mac| hex(&mac.finalize().into_bytes()));
        Trailer { tables: self.tables, rows: self.rows, sha256: hex(&self.all.clone().finalize()), hmac: mac }
    }

    /// Whether this is the MAC, hexadecimal; in constant time.
    pub(super) fn is_mac(&self, given: &str) -> bool {
        let Some(given) = from_hex(given) else { return false };
        self.mac.clone().is_some_and(|mac| mac.verify_slice(&given).is_ok())
    }
}

impl TableDigest {
    /// The next row; gives what its line ends with, by which a row is missed and told from another.
    pub(super) fn row(&mut self, content: &str) -> String {
        self.rows += 1;
        self.hash.update(content);
        self.hash.update(b"\n");
        check(&self.hash.clone().finalize())
    }

    pub(super) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}
