//! Which rows are combined with each other.

use rutile_model::Labels;

use crate::ast::Aggregate;
use crate::engine::column::{Column, Row};
use crate::engine::signature::Signatures;

/// Rows that are combined.
#[derive(Debug)]
pub(super) struct Group {
    /// What `by` or `without` leaves of their labels.
    pub(super) labels: Labels,
    /// Places of the rows, ascending.
    pub(super) members: Vec<usize>,
}

impl Group {
    /// The columns of its rows.
    pub(super) fn columns<'a>(&self, rows: &'a [Row]) -> impl Iterator<Item = &'a Column> {
        let members = self.members.iter();
        members
            .filter_map(|place| rows.get(*place))
            .map(|row| &row.column)
    }
}

/// What tells groups apart.
pub(super) fn signatures(aggregate: &Aggregate) -> Signatures {
    if aggregate.without {
        Signatures::without(&aggregate.grouping)
    } else {
        Signatures::keeping(&aggregate.grouping)
    }
}

/// The groups of rows, in the order of their first row.
pub(super) fn of(aggregate: &Aggregate, rows: &[Row]) -> Vec<Group> {
    let mut signatures = signatures(aggregate);
    let mut groups: Vec<Group> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let number = signatures.number(&row.labels);
        match groups.get_mut(number) {
            Some(group) => group.members.push(place),
            None => groups.push(Group {
                labels: signatures.part(&row.labels),
                members: vec![place],
            }),
        }
    }
    groups
}
