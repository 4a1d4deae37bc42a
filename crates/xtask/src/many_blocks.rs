//! Makes a bucket of many small blocks out of one: input for benchmarks.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Crockford's base 32, in which block ids are written.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of a block id that count the copies.
const DIGITS: usize = 10;

/// Copies the only block of the bucket `from` into the new bucket `to`, `count` times, each time
/// with a name and external labels of its own.
pub(crate) fn run(from: &Path, to: &Path, count: usize) -> Result<()> {
    let source = fs::read_dir(from)
        .with_context(|| format!("list {}", from.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.join("meta.json").is_file())
        .with_context(|| format!("{} holds no block", from.display()))?;
    let id = source
        .file_name()
        .and_then(|name| name.to_str())
        .context("a block's name")?;
    let stem = id
        .get(..id.len().saturating_sub(DIGITS))
        .context("a block id of 26 characters")?;
    let index = fs::read(source.join("index")).context("read the index")?;
    let chunks = fs::read(source.join("chunks/000001")).context("read the first segment")?;
    let meta = fs::read(source.join("meta.json")).context("read meta.json")?;
    let mut meta: Value = serde_json::from_slice(&meta).context("read meta.json")?;
    for number in 0..count {
        let id = format!("{stem}{}", digits(number));
        let folder = to.join(&id);
        fs::create_dir_all(folder.join("chunks"))
            .with_context(|| format!("make {}", folder.display()))?;
        fs::write(folder.join("chunks/000001"), &chunks)?;
        fs::write(folder.join("index"), &index)?;
        meta["ulid"] = json!(id);
        meta["compaction"]["sources"] = json!([id]);
        meta["thanos"]["labels"] = json!({"cluster": format!("c{number:05}"), "replica": "a"});
        fs::write(folder.join("meta.json"), serde_json::to_vec_pretty(&meta)?)?;
    }
    Ok(())
}

fn digits(mut number: usize) -> String {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[number % ALPHABET.len()];
        number /= ALPHABET.len();
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_count_in_base_32() {
        assert_eq!(digits(0), "0000000000");
        assert_eq!(digits(31), "000000000Z");
        assert_eq!(digits(32), "0000000010");
        assert!(digits(9_998) < digits(9_999));
    }
}
