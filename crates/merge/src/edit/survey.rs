//! The first pass: what becomes of each series, by the index alone.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rutile_block::Meta;
use rutile_index::Tombstone;
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::BucketReader;
use rutile_runtime::{Reservation, TaskGroup};

use super::rules::{ALWAYS, Change, Interval, Rules, united};
use super::table::{Row, Symbols, Table};
use super::{ChangeLog, mend};
use crate::batch::{Entries, Label, Place, Series};
use crate::error::{Error, Reason, Result};
use crate::input::Input;
use crate::run::settings;
use crate::source::{self, Settings};
use crate::symbols::{self, SymbolMap};
use crate::{Merger, Progress};

/// What the rules do to a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// Series of the block.
    pub series: u64,
    /// Series that go.
    pub deleted: u64,
    /// Series that lose some of their samples.
    pub cut: u64,
    /// Series that get other labels and stay.
    pub relabelled: u64,
    /// Series that become part of another one, by labels that are then equal.
    pub joined: u64,
    /// Series whose chunks are mended.
    pub mended: u64,
}

impl Effect {
    /// Whether the block stays as it is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.deleted + self.cut + self.relabelled + self.mended == 0
    }

    /// Whether no series stays.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.deleted == self.series
    }
}

/// What is to be written, held in memory.
#[derive(Debug)]
pub struct Survey {
    pub(crate) meta: Meta,
    /// With what is to be deleted as its tombstones.
    pub(crate) input: Arc<Input>,
    pub(crate) map: Arc<SymbolMap>,
    pub(crate) symbols: Symbols,
    pub(crate) table: Table,
    pub(crate) memory: Reservation,
    /// What its requests run in.
    pub(crate) group: TaskGroup,
    effect: Effect,
}

impl Survey {
    /// What will be changed.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }
}

/// See [`Merger::survey`].
pub(crate) async fn survey(
    merger: &Merger,
    source: Arc<dyn BucketReader>,
    meta: &Meta,
    rules: &Arc<Rules>,
    log: &mut ChangeLog<'_>,
) -> Result<Survey> {
    let name = format!("rewrite {}", meta.id);
    let group = merger.spawner.child(name.clone());
    let settings = settings(merger, &group, 1, &Arc::default());
    let account = merger.ledger.account(name);
    let reserved = account.reserve(settings.memory()).await;
    let mut memory = reserved.map_err(|e| Error::exhausted(meta.id, e))?;
    let mut input = Input::open(source, &group.spawner(), meta, meta.id).await?;
    input.mends = rules.mend;
    let input = Arc::new(input);
    let (symbols, maps) = symbols::unite(
        &[Arc::clone(&input)],
        Symbols::default(),
        &merger.pool,
        &mut memory,
        Progress::read,
        &settings.progress,
    )
    .await?;
    let map = Arc::new(maps.into_iter().next().unwrap_or_default());
    let finder = Finder::new(Arc::clone(&input), meta, Arc::clone(rules), symbols);
    let finder = read(finder, &input, &map, &settings, &mut memory, log).await?;
    let Finder {
        rows,
        mut table,
        mut effect,
        tombstones,
        symbols,
        ..
    } = finder;
    let sorting = merger.pool.run(move || {
        let joined = table.sort(input.id, rows);
        (table, joined, input)
    });
    let (table, joined, input) = sorting.await;
    let joined = joined?;
    // Layers of one series are no series.
    effect.joined = if rules.mend { 0 } else { joined };
    let input = Arc::new(input.with_tombstones(tombstones));
    Ok(Survey {
        meta: meta.clone(),
        input,
        map,
        symbols,
        table,
        memory,
        group,
        effect,
    })
}

/// Goes through the series of the block.
async fn read(
    mut finder: Finder,
    input: &Arc<Input>,
    map: &Arc<SymbolMap>,
    settings: &Settings,
    memory: &mut Reservation,
    log: &mut ChangeLog<'_>,
) -> Result<Finder> {
    let (decoding, mut decoded) = source::entries(input, Arc::clone(map), settings);
    let mut added = 0;
    while let Some(entries) = decoded.recv().await {
        let entries = entries?;
        let grown = memory.grow(Finder::memory(&entries));
        grown.map_err(|e| input.exhausted(e))?;
        let (back, found) = (settings.pool)
            .run(move || {
                let found = finder.all(&entries);
                (finder, found)
            })
            .await;
        finder = back;
        found?;
        for change in finder.changes.drain(..) {
            let failed = |e: std::io::Error| {
                let message = format!("the change log cannot be written: {e}");
                Error::passing(input.id, ErrorKind::Unavailable, message)
            };
            log(&change).map_err(failed)?;
        }
        let now = finder.symbols.added_bytes();
        let grown = memory.grow(now - added);
        grown.map_err(|e| input.exhausted(e))?;
        added = now;
    }
    decoding.await.map_err(|e| input.ended(&e))?;
    finder.end();
    Ok(finder)
}

/// Finds what becomes of series.
struct Finder {
    input: Arc<Input>,
    resolution: i64,
    rules: Arc<Rules>,
    symbols: Symbols,
    table: Table,
    rows: Vec<Row>,
    /// The last series stays, and the start of the next is where it ends.
    open: bool,
    tombstones: Vec<Tombstone>,
    changes: Vec<Change>,
    effect: Effect,
}

impl Finder {
    fn new(input: Arc<Input>, meta: &Meta, rules: Arc<Rules>, symbols: Symbols) -> Self {
        Self {
            tombstones: input.tombstones.clone(),
            input,
            resolution: meta.thanos.downsample.resolution,
            rules,
            symbols,
            table: Table::default(),
            rows: Vec::new(),
            open: false,
            changes: Vec::new(),
            effect: Effect::default(),
        }
    }

    /// What is kept of so many series, at most.
    fn memory(entries: &Entries) -> u64 {
        let series = size_of::<Row>() * 2 + size_of::<Tombstone>();
        let labels = entries.labels.len() * size_of::<Label>();
        (entries.series.len() * series + labels) as u64
    }

    fn all(&mut self, entries: &Entries) -> Result<()> {
        let (mut labels_start, mut places_start) = (0, 0);
        for series in &entries.series {
            let (labels_end, places_end) = (series.labels_end as usize, series.chunks_end as usize);
            let labels = entries.labels.get(labels_start..labels_end);
            let places = entries.places.get(places_start..places_end);
            self.end_at(series.reference);
            self.series(
                series,
                labels.unwrap_or_default(),
                places.unwrap_or_default(),
            )?;
            (labels_start, places_start) = (labels_end, places_end);
        }
        Ok(())
    }

    fn series(&mut self, series: &Series, labels: &[Label], places: &[Place]) -> Result<()> {
        self.effect.series += 1;
        let old = self.labels(labels)?;
        let Some(new) = self.rules.relabelled(&old) else {
            self.delete(old, &[ALWAYS], places);
            return Ok(());
        };
        let deleted = self.rules.deleted(&new);
        self.require_whole(&new, &deleted, places)?;
        let changed = new != old;
        if changed {
            let new = new.clone();
            self.changes.push(Change::Relabelled { old, new });
        }
        if places.iter().all(|place| is_covered(place, &deleted)) {
            self.delete(new, &deleted, places);
            return Ok(());
        }
        if self.log(&new, &deleted, places) {
            self.effect.cut += 1;
            let reference = series.reference.into();
            (self.tombstones).extend(deleted.iter().map(|interval| Tombstone {
                series: reference,
                min_time: *interval.start(),
                max_time: *interval.end(),
            }));
        }
        self.effect.relabelled += u64::from(changed);
        if self.rules.mend {
            self.mend(series, &new, places);
        } else {
            self.keep(series, &new, (places, 0));
        }
        Ok(())
    }

    fn labels(&self, labels: &[Label]) -> Result<Labels> {
        let text = |reference: u32| {
            let bytes = self.symbols.get(reference as usize).unwrap_or_default();
            std::str::from_utf8(bytes).map_err(|_| {
                let message = "a symbol is not UTF-8";
                self.input.fault(Reason::IndexCorrupt, message)
            })
        };
        let mut built = Labels::builder();
        for &(name, value) in labels {
            built.set(text(name)?, text(value)?);
        }
        Ok(built.build())
    }

    /// A chunk of aggregates is kept or goes as a whole: what it is made of is not in it any more.
    fn require_whole(&self, labels: &Labels, deleted: &[Interval], places: &[Place]) -> Result<()> {
        if self.resolution == 0 {
            return Ok(());
        }
        let cut = |place: &&Place| touches(place, deleted) && !is_covered(place, deleted);
        let Some(Place {
            min_time, max_time, ..
        }) = places.iter().find(cut)
        else {
            return Ok(());
        };
        let message = format!(
            "block {} is downsampled, and an interval cuts the chunk from {min_time} to {max_time} ms of {labels}: \
             only whole chunks of it can be deleted; widen the interval, or delete the block and have \
             it made anew from the rewritten finer one",
            self.input.id
        );
        Err(Error::passing(self.input.id, ErrorKind::Invalid, message))
    }

    fn delete(&mut self, labels: Labels, deleted: &[Interval], places: &[Place]) {
        self.log(&labels, deleted, places);
        self.effect.deleted += 1;
    }

    /// Notes what is deleted, if anything is.
    fn log(&mut self, labels: &Labels, deleted: &[Interval], places: &[Place]) -> bool {
        let within = places
            .iter()
            .flat_map(|place| intersections(place, deleted));
        let intervals = united(within.collect());
        let some = !intervals.is_empty();
        if some {
            let labels = labels.clone();
            self.changes.push(Change::Deleted { labels, intervals });
        }
        some
    }

    fn mend(&mut self, series: &Series, labels: &Labels, places: &[Place]) {
        let layers = mend::layers(places, &self.input.times());
        let whole = matches!(layers.as_slice(), [layer] if layer == places);
        self.effect.mended += u64::from(!whole && !places.is_empty());
        for (number, layer) in (0..).zip(&layers) {
            self.keep(series, labels, (layer, number));
        }
    }

    fn keep(&mut self, series: &Series, labels: &Labels, (places, layer): (&[Place], u32)) {
        let labels_start = self.table.labels.len();
        for (name, value) in labels.iter() {
            let label = (self.symbols.put(name), self.symbols.put(value));
            self.table.labels.push(label);
        }
        let labels_len = self.table.labels.len() - labels_start;
        self.rows.push(Row {
            labels_start,
            labels_len: u32::try_from(labels_len).unwrap_or(u32::MAX),
            reference: series.reference,
            next: series.reference,
            min_time: places.first().map_or(i64::MIN, |place| place.min_time),
            layer,
        });
        self.open = true;
    }

    /// The last series ends where the next one starts.
    fn end_at(&mut self, reference: u32) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let last = self.rows.last().map(|row| row.reference);
        let layers = self.rows.iter_mut().rev();
        for row in layers.take_while(|row| Some(row.reference) == last) {
            row.next = reference;
        }
    }

    fn end(&mut self) {
        let end = self.input.toc.series_section().end;
        let end = end.div_ceil(self.input.version.series_align());
        self.end_at(u32::try_from(end).unwrap_or(u32::MAX));
    }
}

/// What of a chunk is deleted.
fn intersections(place: &Place, deleted: &[Interval]) -> impl Iterator<Item = RangeInclusive<i64>> {
    let (from, to) = (place.min_time, place.max_time);
    (deleted.iter())
        .map(move |interval| from.max(*interval.start())..=to.min(*interval.end()))
        .filter(|interval| !interval.is_empty())
}

fn touches(place: &Place, deleted: &[Interval]) -> bool {
    intersections(place, deleted).next().is_some()
}

fn is_covered(place: &Place, deleted: &[Interval]) -> bool {
    let covers = |interval: &Interval| {
        interval.contains(&place.min_time) && interval.contains(&place.max_time)
    };
    deleted.iter().any(covers)
}
