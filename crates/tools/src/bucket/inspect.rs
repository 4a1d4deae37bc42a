//! `bucket inspect`: every block in a table, with what a store gateway does and a compactor would do with
//! it.

mod columns;

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use clap::{Args, ValueEnum};
use rutile_block::{BlockId, Contract};
use rutile_compact::outlook::{Action, Compaction, Next, State, Verdict};
use rutile_compact::{Outlook, Planner};
use rutile_fetcher::{BlockInfo, FilterChain, Scope, View};
use rutile_model::{GoDuration, PromDuration};
use serde_json::{Value, json};

use super::source::Source;
use super::tidy::{KeepArgs, MAX_INDEX_BYTES, contract as compactor_contract};
use crate::flags::parse_label;
use crate::output::golang::thousands;
use crate::output::screen::{Screen, Style};
use crate::output::separated;
use crate::output::table::{Cell, Column, Table};
use columns::{COLUMNS, Row};

/// Show all blocks in detail, which of them a store gateway would serve, and what a compactor would do next.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Only blocks with this external label, name="value"; repeatable, all must match.
    #[arg(short = 'l', long = "selector", value_name = "LABEL")]
    selector: Vec<String>,
    /// Column to sort by, repeatable: the second one decides where the first one is equal, and so on.
    #[arg(long = "sort-by", value_name = "COLUMN", default_values = ["FROM", "UNTIL"], value_parser = columns::NAMES)]
    sort_by: Vec<String>,
    /// How to show the blocks; csv and tsv have the reference's columns, table and json also the state.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How long reading the metadata may take.
    #[arg(long = "timeout", default_value = "5m")]
    timeout: GoDuration,
    /// The --consistency-delay of store gateway and compactor: how old a block must be before it counts.
    #[arg(
        long = "consistency-delay",
        value_name = "DURATION",
        default_value = "0s"
    )]
    consistency_delay: GoDuration,
    /// The store gateway's --ignore-deletion-marks-delay: how long marked blocks are served.
    #[arg(
        long = "ignore-deletion-marks-delay",
        value_name = "DURATION",
        default_value = "24h"
    )]
    ignore_delay: PromDuration,
    /// The compactor's --delete-delay: how long marked blocks stay in the bucket.
    #[arg(long = "delete-delay", value_name = "DURATION", default_value = "48h")]
    delete_delay: PromDuration,
    #[command(flatten)]
    keep: KeepArgs,
    /// The compactor's: blocks that overlap are merged.
    #[arg(long = "compact.enable-vertical-compaction")]
    vertical: bool,
    /// The compactor's: labels that tell replicas apart, repeatable, with commas; implies the former.
    #[arg(long = "deduplication.replica-label", value_name = "NAME")]
    replica_label: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Csv,
    Tsv,
    Json,
}

pub(super) async fn run(
    args: InspectArgs,
    source: &Source,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let selector = args
        .selector
        .iter()
        .map(|text| parse_label(text))
        .collect::<Result<Vec<_>>>()?;
    let contract = Contract {
        consistency_delay_ms: args.consistency_delay.as_ms(),
        ignore_delay_ms: args.ignore_delay.as_ms(),
        delete_delay_ms: args.delete_delay.as_ms(),
        ..Contract::default()
    };
    let view = source.view(args.timeout.to_std()).await?;
    let damaged = match args.output {
        // They have no column for it.
        Output::Csv | Output::Tsv => BTreeMap::new(),
        Output::Table | Output::Json => source.damaged(&view, args.timeout.to_std()).await?,
    };
    let replica_labels = rutile_compact::replica_labels(&args.replica_label);
    let vertical = args.vertical || !replica_labels.is_empty();
    let compactor = compactor_contract(args.delete_delay, args.consistency_delay);
    let chain = FilterChain::for_compact(Scope::default(), compactor, replica_labels);
    let compaction = Compaction {
        selection: &chain.apply(&view, view.fetched_at_ms()),
        contract: compactor,
        planner: &Planner::new(Planner::MAX_LEVEL, MAX_INDEX_BYTES).with_vertical(vertical),
        retention: &args.keep.retention(),
    };
    let told = Outlook::new(&view, contract, &damaged, compaction);

    let selected = |info: &BlockInfo| {
        selector
            .iter()
            .all(|(name, value)| info.meta.thanos.labels.get(name) == Some(value))
    };
    let mut rows: Vec<Row<'_>> = view
        .blocks
        .values()
        .filter(|info| selected(info))
        .map(|info| Row::new(&info.meta))
        .collect();
    columns::sort(&mut rows, &args.sort_by);

    match args.output {
        Output::Csv => separated(&rows, ',', out)?,
        Output::Tsv => separated(&rows, '\t', out)?,
        Output::Json => {
            let unreadable = unreadable(&view, &told.verdicts, &selector);
            let blocks: Vec<Value> = rows
                .iter()
                .map(|row| (row.meta.id, Some(row)))
                .chain(unreadable.map(|id| (id, None)))
                .map(|(id, row)| json_block(id, row, &told))
                .collect();
            writeln!(out, "{:#}", Value::Array(blocks))?;
        }
        Output::Table => {
            let unreadable = unreadable(&view, &told.verdicts, &selector);
            let lines: Vec<(BlockId, Option<&Row<'_>>)> = rows
                .iter()
                .map(|row| (row.meta.id, Some(row)))
                .chain(unreadable.map(|id| (id, None)))
                .collect();
            table(&lines, &told, screen, out)?;
        }
    }
    Ok(())
}

/// Partial and bad blocks, which have no labels to select by.
fn unreadable<'a>(
    view: &'a View,
    verdicts: &'a BTreeMap<BlockId, Verdict>,
    selector: &'a [(String, String)],
) -> impl Iterator<Item = BlockId> + use<'a> {
    verdicts
        .keys()
        .copied()
        .filter(|id| selector.is_empty() && !view.blocks.contains_key(id))
}

fn separated(rows: &[Row<'_>], separator: char, out: &mut dyn Write) -> Result<()> {
    let titles: Vec<&str> = COLUMNS.iter().map(|column| column.title).collect();
    out.write_all(separated::line(&titles, separator).as_bytes())?;
    for row in rows {
        out.write_all(separated::line(&row.cells, separator).as_bytes())?;
    }
    Ok(())
}

fn json_block(id: BlockId, row: Option<&Row<'_>>, told: &Outlook) -> Value {
    let mut block = told.json(id);
    if let Some(row) = row {
        block.insert("meta".to_owned(), json!(row.meta));
    }
    Value::Object(block)
}

fn table(
    lines: &[(BlockId, Option<&Row<'_>>)],
    told: &Outlook,
    screen: Screen,
    out: &mut dyn Write,
) -> Result<()> {
    let [id_column, rest @ ..] = &COLUMNS;
    let mut titles = vec![*id_column, Column::left("STATE", 0)];
    titles.extend(rest);
    titles.extend([Column::left("REASON", 0), Column::left("NEXT", 0)]);
    let mut table = Table::new(titles);
    let mut counts = BTreeMap::<State, u64>::new();
    let mut actions = BTreeMap::<Action, u64>::new();
    for (id, row) in lines {
        let Some(verdict) = told.verdicts.get(id) else {
            continue;
        };
        *counts.entry(verdict.state).or_default() += 1;
        let mut cells = vec![
            id.to_string().into(),
            Cell::styled(verdict.state.name(), style_of_state(verdict.state)),
        ];
        match row {
            Some(row) => cells.extend(
                row.cells
                    .iter()
                    .skip(1)
                    .map(|text| Cell::from(text.as_str())),
            ),
            None => cells.extend(rest.iter().map(|_| Cell::default())),
        }
        cells.push(verdict.reason.as_str().into());
        let next = told.next.get(id);
        cells.push(
            next.map_or_else(Cell::default, |Next { action, reason, .. }| {
                *actions.entry(*action).or_default() += 1;
                Cell::styled(
                    format!("{}: {reason}", action.name()),
                    style_of_action(*action),
                )
            }),
        );
        table.row(cells);
    }
    let total = thousands(lines.len() as u64);
    let mut summary = format!("{total} blocks");
    list(
        &mut summary,
        ": ",
        counts.iter().map(|(state, n)| (state.name(), *n)),
    );
    list(
        &mut summary,
        "; next: ",
        actions.iter().map(|(action, n)| (action.name(), *n)),
    );
    if !lines.is_empty() {
        out.write_all(table.render(screen).as_bytes())?;
    }
    writeln!(out, "{}", screen.paint(Style::Faint, summary))?;
    Ok(())
}

/// Appends how many there are of each name, if there are any.
fn list(summary: &mut String, before: &str, counts: impl Iterator<Item = (&'static str, u64)>) {
    let parts: Vec<String> = counts
        .map(|(name, count)| format!("{} {name}", thousands(count)))
        .collect();
    if !parts.is_empty() {
        summary.push_str(before);
        summary.push_str(&parts.join(", "));
    }
}

fn style_of_state(state: State) -> Style {
    match state {
        State::Served => Style::Good,
        State::Superseded | State::Elsewhere => Style::Faint,
        State::TooFresh | State::Marked => Style::Warning,
        State::Partial | State::Bad => Style::Bad,
    }
}

fn style_of_action(action: Action) -> Style {
    match action {
        Action::Merge | Action::Downsample => Style::Good,
        Action::Mark | Action::Delete | Action::Remove | Action::Exclude => Style::Warning,
        Action::Wait => Style::Faint,
        Action::Hold => Style::Bad,
    }
}
