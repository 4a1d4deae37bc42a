//! `label_replace` and `label_join`: change labels, not values.

use rutile_model::regex::Template;
use rutile_model::{ErrorKind, Labels};

use crate::ast::Expr;

use super::{Args, CallContext};
use crate::engine::column::{Operand, Row};
use crate::engine::eval::METRIC_NAME;
use crate::engine::{Error, Result};

pub(super) fn replace(context: &mut CallContext<'_>, mut args: Args) -> Result<Operand> {
    let mut rows = args.vector();
    let (target, replacement) = (args.string(), args.string());
    let (source, pattern) = (args.string(), args.string());
    let regex = context.patterns.capturing(&pattern);
    let regex = regex.map_err(|error| match error.kind() {
        ErrorKind::Exhausted => Error::TooMany(format!("label_replace(): {error}")),
        _ => Error::execution(format!(
            "invalid regular expression in label_replace(): {pattern}"
        )),
    })?;
    require_name(context, 1, &target, "destination", "label_replace")?;
    let replacement = Template::new(&replacement);
    let mut room = Room::new(context);
    for row in &mut rows {
        if let Some(matched) = regex.match_whole(row.labels.value(&source)) {
            room.take(matched.expanded_len(&replacement))?;
            let value = matched.expand(&replacement);
            set(row, &target, &value);
        }
    }
    Ok(Operand::Vector(rows))
}

pub(super) fn join(context: &CallContext<'_>, mut args: Args) -> Result<Operand> {
    let mut rows = args.vector();
    let (target, separator) = (args.string(), args.string());
    let mut sources = Vec::new();
    while let Some(source) = args.next_string() {
        require_name(context, sources.len() + 3, &source, "source", "label_join")?;
        sources.push(source);
    }
    require_name(context, 1, &target, "destination", "label_join")?;
    let mut room = Room::new(context);
    for row in &mut rows {
        let lengths = sources
            .iter()
            .map(|name| row.labels.value(name).len() + separator.len());
        room.take(lengths.fold(0, usize::saturating_add))?;
        let values: Vec<&str> = sources.iter().map(|name| row.labels.value(name)).collect();
        let value = values.join(&separator);
        set(row, &target, &value);
    }
    Ok(Operand::Vector(rows))
}

/// How many bytes of values a call may still make. Nested calls could double them each time.
struct Room {
    function: &'static str,
    most: u64,
    left: u64,
}

impl Room {
    /// As many bytes as the samples that a query may hold have.
    fn new(context: &CallContext<'_>) -> Self {
        let most = context
            .options
            .max_samples
            .saturating_mul(size_of::<f64>() as u64);
        Self {
            function: context.call.function.name,
            most,
            left: most,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        let Some(left) = self.left.checked_sub(bytes as u64) else {
            let Self { function, most, .. } = self;
            return Err(Error::TooMany(format!(
                "{function}() would make label values of more than {most} bytes: shorten them, or select fewer series"
            )));
        };
        self.left = left;
        Ok(())
    }
}

/// Sets a label, or removes it if the value is empty. A metric name that was set stays.
fn set(row: &mut Row, name: &str, value: &str) {
    if name == METRIC_NAME {
        row.drop_name = false;
    }
    if row.labels.value(name) == value {
        return;
    }
    let kept = row
        .labels
        .iter()
        .filter(|(n, v)| *n != name && !v.is_empty());
    let set = (!value.is_empty()).then_some((name, value));
    let labels: Labels = kept.chain(set).collect();
    row.labels = labels;
}

/// Any text but the empty one names a label, if it is UTF-8.
fn require_name(
    context: &CallContext<'_>,
    arg: usize,
    name: &str,
    what: &str,
    function: &str,
) -> Result<()> {
    let arg = context.call.args.get(arg).map(Expr::unwrap_parens);
    let is_text = !matches!(arg, Some(Expr::String(literal)) if literal.not_utf8.is_some());
    if is_text && !name.is_empty() {
        return Ok(());
    }
    Err(Error::execution(format!(
        "invalid {what} label name in {function}(): {name}"
    )))
}
