//! Flags that several commands share.

use anyhow::{Context, Result, bail};
use rutile_server::config_flag;

config_flag!(
    /// The bucket.
    ObjstoreConfig, "objstore.config", "the bucket; see docs/objstore.md", REQUIRED
);
config_flag!(
    /// The shard.
    SelectorConfig, "selector.relabel-config", "relabel rules that pick blocks by their external labels"
);

config_flag!(
    /// The bucket that blocks are copied to.
    ToConfig, "objstore-to.config", "the bucket to copy to; see docs/objstore.md", REQUIRED
);
config_flag!(
    /// The bucket that keeps what is repaired as it was.
    BackupConfig, "objstore-backup.config", "the bucket for copies of what is repaired; see docs/objstore.md"
);
config_flag!(
    /// What to delete.
    ToDeleteConfig, "rewrite.to-delete-config", "what to delete: a list of matchers (a selector) and intervals (mint and maxt, ms; none: all)"
);
config_flag!(
    /// What to relabel.
    ToRelabelConfig, "rewrite.to-relabel-config", "relabel rules for all series; those that are dropped are deleted"
);

/// `name="value"` or `name=value`, as labels are given in flags.
pub(crate) fn parse_label(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .with_context(|| format!("invalid label {text:?}: write name=\"value\""))?;
    let value = match value.strip_prefix('"') {
        None => value,
        Some(quoted) => quoted
            .strip_suffix('"')
            .with_context(|| format!("invalid label {text:?}: a quote is not closed"))?,
    };
    let plain = rutile_model::labels::is_plain_name(name);
    if !plain {
        bail!("invalid label {text:?}: {name:?} is not a label name");
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_be_quoted() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse_label("a=\"b\"").unwrap(), pair("a", "b"));
        assert_eq!(parse_label("a=b=c").unwrap(), pair("a", "b=c"));
        for wrong in ["a", "=b", "a=\"b", "1=b"] {
            assert!(parse_label(wrong).is_err(), "{wrong}");
        }
    }
}
