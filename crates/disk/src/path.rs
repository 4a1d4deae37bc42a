//! Which paths a disk accepts.

use crate::error::{Error, Result};

/// Where unfinished files lie; hidden from listings.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Accepts the path of a file or folder below the root.
pub(crate) fn check(path: &str) -> Result<()> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    let taken = path.split('/').next() == Some(TEMPORARY);
    if path.split('/').all(plain) && !taken {
        Ok(())
    } else {
        Err(Error::BadPath(path.to_owned()))
    }
}

/// Accepts the path of a folder, the root (`""`) included.
pub(crate) fn check_folder(path: &str) -> Result<()> {
    if path.is_empty() { Ok(()) } else { check(path) }
}

/// The path of the folder above; `""` is the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
