//! Files of Python that a backup is written to or read from.

use std::io::{self, Read, Write};

use pyo3::{
    prelude::*,
    types::{PyBytes, PyString},
};
use rolekeep::ffi::{self, BackupPlace};

use crate::{answer::Answer, process};

/// A binary file object.
pub struct PyFile(Py<PyAny>);

/// A path, or a file object.
pub fn place(given: &Bound<'_, PyAny>) -> PyResult<BackupPlace<PyFile>> {
    Ok(match given.cast::<PyString>() {
        Ok(path) => BackupPlace::Path(path.extract()?),
        Err(_) => BackupPlace::Stream(PyFile(given.clone().unbind())),
    })
}

/// What a backup holds, as JSON.
#[pyfunction]
pub fn verify_backup(file: &Bound<'_, PyAny>, options: String) -> PyResult<Answer> {
    let place = place(file)?;
    Ok(Answer::new(false, async move { ffi::verify_backup(place, &options).await }))
}

impl PyFile {
    /// What its method answers. What it raises is the cause of the error.
    fn ask<T>(&self, ask: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> io::Result<T> {
        let answer = process::attach(|py| ask(self.0.bind(py)));
        answer.ok_or_else(|| io::Error::other("the interpreter ended"))?.map_err(io::Error::other)
    }
}

impl Read for PyFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len();
        let bytes =
            self.ask(|file| Ok(file.call_method1("read", (count,))?.cast_into::<PyBytes>()?.as_bytes().to_vec()))?;
        let room =
            into.get_mut(..bytes.len()).ok_or_else(|| io::Error::other("the file gave more than was asked for"))?;
        room.copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for PyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An unbuffered file may take less.
        let taken =
            self.ask(|file| file.call_method1("write", (PyBytes::new(file.py(), bytes),))?.extract::<usize>())?;
        Ok(taken.min(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ask(|file| file.call_method0("flush").map(drop))
    }
}
