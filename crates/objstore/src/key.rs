//! What a key and a range may look like: the same rule on every provider, checked before any I/O.

use std::ops::Range;

/// Longest key in bytes: the least of what S3, GCS and Azure take.
const MAX_KEY_BYTES: usize = 1024;

/// Says what is wrong with a key, if anything.
///
/// Segments are what `/` separates: none may be empty, `.` or `..`, so that a key names the same
/// object on every provider and never leaves the root of a filesystem bucket.
pub(crate) fn check(key: &str) -> Result<(), String> {
    if key.len() > MAX_KEY_BYTES {
        return Err(format!(
            "the key has {} bytes, at most {MAX_KEY_BYTES} are allowed",
            key.len()
        ));
    }
    for segment in key.split('/') {
        match segment {
            "" => return Err("the key has an empty segment".to_owned()),
            "." | ".." => return Err(format!("the key has the segment {segment:?}")),
            _ if segment.contains('\0') => return Err("the key has a zero byte".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// The folder without the `/` at its end, or what is wrong with it. `""` is the root.
pub(crate) fn check_folder(prefix: &str) -> Result<&str, String> {
    let folder = prefix.strip_suffix('/').unwrap_or(prefix);
    if !folder.is_empty() {
        check(folder)?;
    } else if !prefix.is_empty() {
        return Err("the root folder is \"\", not \"/\"".to_owned());
    }
    Ok(folder)
}

/// Cuts a range to an object of `size` bytes, or says why it cannot be read.
pub(crate) fn clamp(range: &Range<u64>, size: u64) -> Result<Range<u64>, String> {
    check_range(range)?;
    if range.start >= size {
        return Err(format!(
            "the range {}..{} starts past the end of the object, which has {size} bytes",
            range.start, range.end
        ));
    }
    Ok(range.start..range.end.min(size))
}

/// Refuses a range that holds nothing: HTTP cannot ask for it.
pub(crate) fn check_range(range: &Range<u64>) -> Result<(), String> {
    if range.start < range.end {
        return Ok(());
    }
    Err(format!("the range {}..{} is empty", range.start, range.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in ["a", "a/b", "a b/ü%20#?&=+~", "...", "a..b", "\\", ":"] {
            check(good).unwrap();
        }
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "a/./b", "..", "../a", "a/..", "a\0",
        ] {
            check(bad).unwrap_err();
        }
        check(&"x".repeat(1024)).unwrap();
        check(&"x".repeat(1025)).unwrap_err();
    }

    #[test]
    fn folders() {
        assert_eq!(check_folder(""), Ok(""));
        assert_eq!(check_folder("a/"), Ok("a"));
        assert_eq!(check_folder("a/b"), Ok("a/b"));
        for bad in ["/", "a//", "../", "a/../"] {
            check_folder(bad).unwrap_err();
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(clamp(&(0..10), 4), Ok(0..4));
        assert_eq!(clamp(&(3..4), 4), Ok(3..4));
        assert_eq!(clamp(&(3..u64::MAX), 4), Ok(3..4));
        clamp(&(4..5), 4).unwrap_err();
        clamp(&(2..2), 4).unwrap_err();
        clamp(&(0..1), 0).unwrap_err();
    }
}
