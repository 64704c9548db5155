//! How many statements SQLite ran on a file: it tells itself of each that begins, `BEGIN` and `COMMIT` too.
#![allow(unsafe_code, reason = "SQLite calls back")]

use std::{
    collections::HashMap,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    path::{Path, PathBuf},
    ptr,
    sync::{
        LazyLock, Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use libsqlite3_sys::{
    SQLITE_OK, SQLITE_TRACE_STMT, sqlite3, sqlite3_api_routines, sqlite3_auto_extension, sqlite3_db_filename,
    sqlite3_trace_v2,
};

static COUNTS: LazyLock<Mutex<HashMap<PathBuf, &'static AtomicUsize>>> = LazyLock::new(Mutex::default);

/// Counts from now on, on every connection that is opened.
pub fn watch() {
    static WATCHED: Once = Once::new();
    // Safe: the function has the form that SQLite asks for, and stays.
    WATCHED.call_once(|| assert_eq!(unsafe { sqlite3_auto_extension(Some(opened)) }, SQLITE_OK));
}

/// How many statements ran on this file so far.
pub fn count(file: &Path) -> usize {
    let folder = file.parent().unwrap().canonicalize().unwrap();
    counter(folder.join(file.file_name().unwrap())).load(Ordering::SeqCst)
}

fn counter(file: PathBuf) -> &'static AtomicUsize {
    COUNTS.lock().unwrap().entry(file).or_insert_with(|| Box::leak(Box::default()))
}

unsafe extern "C" fn opened(db: *mut sqlite3, _: *mut *mut c_char, _: *const sqlite3_api_routines) -> c_int {
    // Safe: SQLite gives a connection that is open, whose file's name ends with a zero if it has one.
    unsafe {
        let file = sqlite3_db_filename(db, ptr::null());
        if file.is_null() {
            return SQLITE_OK;
        }
        let file = CStr::from_ptr(file).to_string_lossy().into_owned();
        let counter = ptr::from_ref(counter(file.into())).cast_mut().cast();
        sqlite3_trace_v2(db, SQLITE_TRACE_STMT, Some(began), counter)
    }
}

unsafe extern "C" fn began(_: c_uint, counter: *mut c_void, _: *mut c_void, text: *mut c_void) -> c_int {
    // Safe: the counter is never freed, and the text ends with a zero.
    unsafe {
        let text = CStr::from_ptr(text.cast()).to_bytes();
        // A connection is told its settings once, by whoever comes first; the rest of the lines are of triggers.
        if !text.starts_with(b"PRAGMA") && !text.starts_with(b"--") {
            (*counter.cast::<AtomicUsize>()).fetch_add(1, Ordering::SeqCst);
        }
    }
    SQLITE_OK
}
