//! `info`: adds the labels of info metrics, such as `target_info`, to the series of a vector.
//!
//! An info series belongs to the series that have the same `instance` and `job`. Both are looked at at
//! the same times: the modifiers of the first selector in the argument count for the info series too.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rutile_model::{Labels, LabelsBuilder, MatchOp, Matcher};

use crate::ast::{At, Call, DurationSpec, Expr, Span, VectorSelector};
use crate::engine::column::{Column, Operand, Row};
use crate::engine::eval::{Evaluator, METRIC_NAME};
use crate::engine::plan::Node;
use crate::engine::{Error, Result};

/// The labels that say which info series belongs to which series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info metric, unless the query names one.
const DEFAULT_METRIC: &str = "target_info";

/// Which info series are wanted.
#[derive(Debug)]
struct Wanted {
    /// Of the metric name.
    names: Vec<Matcher>,
    /// Of other labels; if there are any, no other labels are added.
    data: Vec<Matcher>,
}

/// Info series of one metric with the same identifying labels. At most one of them counts at a step.
#[derive(Debug, Default)]
struct Group {
    rows: Vec<usize>,
}

/// Info series by metric and identifying labels.
struct Index<'a> {
    rows: &'a [Row],
    /// Names of the metrics, sorted.
    metrics: Vec<&'a str>,
    groups: HashMap<(&'a str, [&'a str; 2]), Group, FixedState>,
}

/// Evaluates a call of `info`.
pub(crate) async fn eval(
    evaluator: &mut Evaluator<'_>,
    node: &Node<'_>,
    call: &Call,
) -> Result<Operand> {
    let Some(first) = node.first() else {
        return Err(Error::execution("info needs a vector"));
    };
    let wanted = Wanted::new(call.args.get(1))?;
    let base = evaluator.eval(first).await?.into_vector();
    let is_info = |row: &Row| {
        let name = row.labels.value(METRIC_NAME);
        wanted.names.iter().all(|matcher| matcher.matches(name))
    };
    let (ignored, base): (Vec<Row>, Vec<Row>) = base.into_iter().partition(is_info);
    let infos = match wanted.matchers(&base)? {
        Some(matchers) => {
            let (at, offset_ms) = reference(evaluator, first.expr)?;
            let like = like(at, offset_ms);
            evaluator.select_rows(node, matchers, &like).await?
        }
        None => Vec::new(),
    };
    let index = Index::new(&infos);
    index.check(&ignored, &base, evaluator.steps.len())?;
    let mut out = ignored;
    for row in base {
        enrich(row, &index, &wanted, &mut out)?;
    }
    Ok(Operand::Vector(out))
}

/// When the info series are looked at: what `@` fixes, and how far back. Of the first selector, and of the
/// subqueries around it until one fixes the time.
fn reference(evaluator: &Evaluator<'_>, expr: &Expr) -> Result<(Option<At>, i64)> {
    Ok(find_reference(evaluator, expr)?.unwrap_or_default())
}

fn find_reference(evaluator: &Evaluator<'_>, expr: &Expr) -> Result<Option<(Option<At>, i64)>> {
    let ms = |offset: &Option<DurationSpec>| match offset {
        Some(offset) => evaluator.ms(offset),
        None => Ok(0),
    };
    match expr {
        Expr::Vector(selector) => Ok(Some((selector.at, ms(&selector.offset)?))),
        Expr::Matrix(matrix) => {
            let selector = &matrix.selector;
            Ok(Some((selector.at, ms(&selector.offset)?)))
        }
        Expr::Subquery(subquery) => {
            let found = find_reference(evaluator, &subquery.expr)?;
            Ok(match found {
                Some((None, offset_ms)) => Some((subquery.at, offset_ms + ms(&subquery.offset)?)),
                other => other,
            })
        }
        _ => {
            for child in expr.children() {
                let found = find_reference(evaluator, child)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        }
    }
}

/// A selector without matchers.
fn like(at: Option<At>, offset_ms: i64) -> VectorSelector {
    VectorSelector {
        name: None,
        matchers: Vec::new(),
        at,
        offset: (offset_ms != 0).then_some(DurationSpec::Ms(offset_ms)),
        extension: None,
        may_match_all: true,
        span: Span::default(),
    }
}

impl Wanted {
    /// Reads the second argument of the call.
    fn new(selector: Option<&Expr>) -> Result<Self> {
        let all = match selector.map(Expr::unwrap_parens) {
            Some(Expr::Vector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        let (mut names, data): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|m| m.name() == METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        } else if names.iter().all(|matcher| matcher.op().is_negative()) {
            names.insert(0, regex(METRIC_NAME, ".+_info".to_owned())?);
        }
        Ok(Self { names, data })
    }

    /// What selects the info series of some rows; none if these have no identifying label.
    fn matchers(&self, rows: &[Row]) -> Result<Option<Vec<Matcher>>> {
        let mut matchers = Vec::new();
        for name in IDENTIFYING {
            let values = rows.iter().map(|row| row.labels.value(name));
            let mut values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
            values.sort_unstable();
            values.dedup();
            if !values.is_empty() {
                let values: Vec<String> = values.into_iter().map(quote_pattern).collect();
                matchers.push(regex(name, values.join("|"))?);
            }
        }
        if matchers.is_empty() {
            return Ok(None);
        }
        matchers.extend(self.data.iter().chain(&self.names).cloned());
        Ok(Some(matchers))
    }

    fn allows(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| matcher.name() == label)
    }

    /// Whether a row without info series stays as it is.
    fn allows_none(&self) -> bool {
        self.data.iter().all(Matcher::matches_empty)
    }
}

impl<'a> Index<'a> {
    fn new(rows: &'a [Row]) -> Self {
        let mut groups: HashMap<_, Group, _> = HashMap::with_hasher(FixedState::default());
        let mut metrics = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let metric = row.labels.value(METRIC_NAME);
            metrics.push(metric);
            let key = (metric, identity(&row.labels));
            groups.entry(key).or_default().rows.push(i);
        }
        metrics.sort_unstable();
        metrics.dedup();
        Self {
            rows,
            metrics,
            groups,
        }
    }

    /// Refuses two info series that have the same claim, where there is anything to be enriched.
    fn check(&self, ignored: &[Row], base: &[Row], steps: usize) -> Result<()> {
        let contested = self.groups.values().filter(|group| group.rows.len() > 1);
        let contested: Vec<&Group> = contested.collect();
        if contested.is_empty() {
            return Ok(());
        }
        for step in 0..steps {
            let mut rows = ignored.iter().chain(base);
            if rows.any(|row| row.column.is_present(step)) {
                for group in &contested {
                    self.check_claims(group, step)?;
                }
            }
        }
        Ok(())
    }

    fn check_claims(&self, group: &Group, step: usize) -> Result<()> {
        let mut newest: Option<(f64, &Labels)> = None;
        for row in group.rows.iter().filter_map(|i| self.rows.get(*i)) {
            let Some(time) = row.column.float(step) else {
                continue;
            };
            match newest {
                Some((known, _)) if known > time => {}
                Some((known, labels)) if known == time => {
                    return Err(Error::execution(format!(
                        "found duplicate series for info metric: existing {labels} @ {known}, new {} @ {time}",
                        row.labels,
                    )));
                }
                _ => newest = Some((time, &row.labels)),
            }
        }
        Ok(())
    }

    /// The info series that belong to a series, by metric.
    fn groups_of<'s>(&'s self, labels: &'s Labels) -> Vec<&'s Group> {
        let identity = identity(labels);
        let found = |metric: &&'s str| self.groups.get(&(*metric, identity));
        self.metrics.iter().filter_map(found).collect()
    }

    /// The one of a group that counts at a step: the newest.
    fn pick(&self, group: &Group, step: usize) -> Option<usize> {
        let time = |i: &usize| self.rows.get(*i)?.column.float(step).map(|time| (time, *i));
        let times = group.rows.iter().filter_map(time);
        let newest = times.reduce(|a, b| if b.0 > a.0 { b } else { a });
        newest.map(|(_, i)| i)
    }
}

/// Adds the labels of info series to a row: one row for each set of info series that counted.
fn enrich(row: Row, index: &Index<'_>, wanted: &Wanted, out: &mut Vec<Row>) -> Result<()> {
    let groups = index.groups_of(&row.labels);
    if groups.is_empty() {
        if wanted.allows_none() {
            out.push(row);
        }
        return Ok(());
    }
    let steps = row.column.len();
    let mut found: Vec<(Vec<usize>, Row)> = Vec::new();
    let mut picked = Vec::new();
    for step in 0..steps {
        let Some(value) = row.column.get(step) else {
            continue;
        };
        picked.clear();
        picked.extend(groups.iter().filter_map(|group| index.pick(group, step)));
        if picked.is_empty() && !wanted.allows_none() {
            continue;
        }
        // From step to step, it is the same set most of the time.
        let place = match found.iter().rposition(|(set, _)| *set == picked) {
            Some(place) => place,
            None => {
                let infos = picked.iter().filter_map(|i| index.rows.get(*i));
                let labels = enriched(&row.labels, infos.map(|row| &row.labels), wanted)?;
                let enriched = Row {
                    drop_name: row.drop_name,
                    ..Row::new(labels, Column::absent(steps))
                };
                found.push((picked.clone(), enriched));
                found.len() - 1
            }
        };
        if let Some((_, enriched)) = found.get_mut(place) {
            enriched.column.set(step, Some(value));
        }
    }
    out.extend(found.into_iter().map(|(_, row)| row));
    Ok(())
}

/// Labels with those of info series that they do not have yet.
fn enriched<'a>(
    labels: &Labels,
    infos: impl Iterator<Item = &'a Labels>,
    wanted: &Wanted,
) -> Result<Labels> {
    let mut added = LabelsBuilder::default();
    for info in infos {
        for (name, value) in info {
            if name == METRIC_NAME || !wanted.allows(name) {
                continue;
            }
            let known = added.value(name);
            if !known.is_empty() && known != value {
                return Err(Error::execution(format!("conflicting label: {name}")));
            }
            if labels.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    Ok(labels.extended_with(&added.build()))
}

fn identity(labels: &Labels) -> [&str; 2] {
    IDENTIFYING.map(|name| labels.value(name))
}

fn regex(name: &str, pattern: String) -> Result<Matcher> {
    Matcher::new(MatchOp::Regex, name, pattern).map_err(|e| Error::execution(e.to_string()))
}

/// A pattern that only this text matches.
fn quote_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_match_only_themselves() {
        for text in ["a.b:9090", r"c:\d+", "[::1]:80", "x|y", "{$1}^"] {
            let matcher = regex("instance", quote_pattern(text)).unwrap();
            assert!(
                matcher.matches(text) && !matcher.matches("axb:9090"),
                "{text}"
            );
        }
    }

    #[test]
    fn labels_of_infos_must_not_contradict_each_other() {
        let wanted = Wanted::new(None).unwrap();
        let base = Labels::from([("job", "a"), ("x", "base")]);
        let add = |infos: &[Labels]| enriched(&base, infos.iter(), &wanted);
        let (one, two) = (
            Labels::from([("x", "1"), ("y", "1")]),
            Labels::from([("y", "2")]),
        );
        let got = add(std::slice::from_ref(&one)).unwrap();
        assert_eq!(got, Labels::from([("job", "a"), ("x", "base"), ("y", "1")]));
        let error = add(&[one, two]).unwrap_err();
        assert_eq!(error.to_string(), "conflicting label: y");
    }
}
