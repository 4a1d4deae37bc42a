//! Turning a set of objects into a listing, for the buckets that keep the set themselves.

use crate::{Attributes, Depth, Entry};

/// The listing of `folder` (`""` or without a trailing `/`) from objects in key order.
pub(crate) fn entries(
    objects: impl Iterator<Item = (String, Option<Attributes>)>,
    folder: &str,
    depth: Depth,
) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for (key, attributes) in objects {
        let Some(rest) = below(&key, folder) else {
            continue;
        };
        let entry = match (depth, rest.split_once('/')) {
            (Depth::Shallow, Some((_, deeper))) => {
                let end = key.len() - deeper.len();
                Entry {
                    key: key.get(..end).unwrap_or_default().to_owned(),
                    attributes: None,
                }
            }
            _ => Entry { key, attributes },
        };
        // The objects of one folder are neighbours in key order.
        if found.last() != Some(&entry) {
            found.push(entry);
        }
    }
    found
}

/// What follows `folder/` in a key that lies below it.
pub(crate) fn below<'a>(key: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(key);
    }
    key.strip_prefix(folder)?.strip_prefix('/')
}
