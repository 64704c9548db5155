//! Which statements SQLite ran on a file, and how many: it tells itself of each that begins, `BEGIN` and `COMMIT` too.
#![allow(unsafe_code, reason = "SQLite calls back")]

use std::{
    collections::{BTreeSet, HashMap},
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    path::{Path, PathBuf},
    ptr,
    sync::{
        LazyLock, Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use libsqlite3_sys::{
    SQLITE_OK, SQLITE_STMTSTATUS_VM_STEP, SQLITE_TRACE_PROFILE, SQLITE_TRACE_STMT, sqlite3, sqlite3_api_routines,
    sqlite3_auto_extension, sqlite3_db_filename, sqlite3_stmt_status, sqlite3_trace_v2,
};

static FILES: LazyLock<Mutex<HashMap<PathBuf, &'static Watched>>> = LazyLock::new(Mutex::default);
/// The texts of statements on files whose texts are kept, each once.
static TEXTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

#[derive(Default)]
struct Watched {
    count: AtomicUsize,
    steps: AtomicUsize,
    is_kept: AtomicBool,
}

/// Counts from now on, on every connection that is opened.
pub fn watch() {
    static WATCHED: Once = Once::new();
    // Safe: the function has the form that SQLite asks for, and stays.
    WATCHED.call_once(|| assert_eq!(unsafe { sqlite3_auto_extension(Some(opened)) }, SQLITE_OK));
}

/// How many statements ran on this file so far.
pub fn count(file: &Path) -> usize {
    of(file).count.load(Ordering::SeqCst)
}

/// How many steps SQLite's machine took on this file so far: they grow with the rows that are looked at.
pub fn steps(file: &Path) -> usize {
    of(file).steps.load(Ordering::SeqCst)
}

/// Keeps the texts of what runs on this file from now on.
pub fn keep_texts(file: &Path) {
    of(file).is_kept.store(true, Ordering::SeqCst);
}

/// The texts that were kept.
pub fn texts() -> Vec<String> {
    TEXTS.lock().unwrap().iter().cloned().collect()
}

fn of(file: &Path) -> &'static Watched {
    let folder = file.parent().unwrap().canonicalize().unwrap();
    watched(folder.join(file.file_name().unwrap()))
}

fn watched(file: PathBuf) -> &'static Watched {
    FILES.lock().unwrap().entry(file).or_insert_with(|| Box::leak(Box::default()))
}

unsafe extern "C" fn opened(db: *mut sqlite3, _: *mut *mut c_char, _: *const sqlite3_api_routines) -> c_int {
    // Safe: SQLite gives a connection that is open, whose file's name ends with a zero if it has one.
    unsafe {
        let file = sqlite3_db_filename(db, ptr::null());
        if file.is_null() {
            return SQLITE_OK;
        }
        let file = CStr::from_ptr(file).to_string_lossy().into_owned();
        let watched = ptr::from_ref(watched(file.into())).cast_mut().cast();
        sqlite3_trace_v2(db, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, Some(ran), watched)
    }
}

unsafe extern "C" fn ran(kind: c_uint, watched: *mut c_void, statement: *mut c_void, text: *mut c_void) -> c_int {
    // Safe: what is watched is never freed.
    let watched = unsafe { &*watched.cast::<Watched>() };
    if kind == SQLITE_TRACE_PROFILE {
        // Safe: SQLite tells of a statement that is there. Its steps are counted anew for its next run.
        let steps = unsafe { sqlite3_stmt_status(statement.cast(), SQLITE_STMTSTATUS_VM_STEP, 1) };
        watched.steps.fetch_add(steps.try_into().unwrap_or_default(), Ordering::SeqCst);
        return SQLITE_OK;
    }
    // Safe: the text ends with a zero.
    let text = unsafe { CStr::from_ptr(text.cast()).to_string_lossy() };
    // A connection is told its settings once, by whoever comes first; the rest of the lines are of triggers. Nobody waits for a `ROLLBACK` after
    // reads: it runs whenever there is time, maybe while something else is counted.
    if !["PRAGMA", "--", "ROLLBACK"].iter().any(|start| text.starts_with(start)) {
        watched.count.fetch_add(1, Ordering::SeqCst);
        if watched.is_kept.load(Ordering::SeqCst) {
            TEXTS.lock().unwrap_or_else(PoisonError::into_inner).insert(text.into_owned());
        }
    }
    SQLITE_OK
}
