//! Rolekeep on files that SQLCipher encrypts: its tests link SQLCipher in the place of SQLite.

use libsqlite3_sys as _;
use rolekeep as _;
