//! A folder that one process has to itself.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The file in a folder by which it is held.
const FILE: &str = "lock";
/// More than the digits of a process id.
const MAX_ID_BYTES: u64 = 20;

/// Holds a folder until it is dropped, or the process ends, however it does.
///
/// The lock is one of the system on a file in the folder (`flock`), which stays: whether it is there says nothing.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Holds `folder`, making it if it is missing.
    ///
    /// # Errors
    /// [`Error::InUse`] if a process holds it, else what the system says.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let failed = |source| Error::io("lock", &path.to_string_lossy(), source);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse {
                    folder: folder.to_string_lossy().into_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let id = std::process::id();
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{id}"));
        written.map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Who holds the file: the id that it wrote into it, which may be one of another machine or container.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_ID_BYTES).read_to_string(&mut text);
    match text.trim() {
        id if read.is_ok() && id.parse::<u32>().is_ok() => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rutile_model::ErrorKind;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("data");
        let held = FolderLock::take(&folder).unwrap();
        let error = FolderLock::take(&folder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            format!(
                "the folder {} is in use by process {}",
                folder.display(),
                std::process::id()
            )
        );
        drop(held);
        let _held = FolderLock::take(&folder).unwrap();
    }

    #[test]
    fn what_the_file_says_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, "\u{ff}no number, and a long one at that").unwrap();
        let _held = FolderLock::take(folder.path()).unwrap();
        let id = std::process::id();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{id}\n"));
    }
}
