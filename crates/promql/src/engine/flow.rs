//! Rows as they are computed: from the parts of a source, batch by batch, on all cores.
//!
//! A few batches are under way at a time; whoever takes the rows gets them in the order of their series. So
//! what need not be held is not held: neither samples, nor chunks, nor the rows of other batches. Dropping
//! the batches cancels what has not begun.

mod parts;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use rutile_model::histogram::{HistogramLayout, HistogramRows};
use rutile_model::{Labels, Patterns, Samples, WindowTimes};
use rutile_runtime::{Account, CpuPool, Reservation};

use super::annotation::Annotations;
use super::binary::{self, BinaryContext};
use super::call::{self, CallContext};
use super::column::{Column, Operand, Row};
use super::eval::without_name;
use super::given::Given;
use super::memory::{Held, weight_of_size};
use super::observe::{Spent, Watch};
use super::select::{self, Instant, Ranged};
use super::spare::{Spare, Spares};
use super::stage::{self, Stage};
use super::steps::Steps;
use super::stop::Stop;
use super::summary::summarize;
use super::window::{self, Findings};
use super::{EngineOptions, Result};

pub(crate) use parts::{Part, Parts, parts, ready};

/// The most bytes of the histograms of a series that are added up number by number: their memory is taken at once.
const MATRIX_BYTES: usize = 16 * 1024 * 1024;

/// Rows that are to be computed: of what, and how.
pub(crate) struct Flow {
    pub(crate) parts: Parts,
    pub(crate) work: Work,
}

/// What makes rows of series.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) fill: Fill,
    /// What is done to the rows then, in this order, and the node of the plan that wants it.
    pub(crate) stages: Vec<(usize, Stage)>,
    /// The node that `fill` evaluates, and that of its selector.
    pub(crate) nodes: (usize, usize),
    /// Whether what is spent on each node is wanted.
    pub(crate) observed: bool,
    /// Where bytes are reserved.
    pub(crate) account: Option<Account>,
    pub(crate) stop: Stop,
    pub(crate) steps: Steps,
    pub(crate) query: Steps,
    pub(crate) options: EngineOptions,
    /// If buckets of histograms go: the first time of which samples count.
    pub(crate) summary_since: Option<i64>,
    /// Of rows that are gone.
    pub(crate) spares: Arc<Spares>,
    /// Whether the rows go into a sum, and nowhere else.
    pub(crate) sums: bool,
}

/// How the column of a series is filled.
#[derive(Debug)]
pub(crate) enum Fill {
    Instant(Instant),
    Ranged(Box<Ranged>),
}

/// Some rows, in order, and what came up while they were computed.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<Row>,
    /// What is left of the labels of all series without the name of the metric; empty if no name goes.
    pub(crate) nameless: Vec<Labels>,
    pub(crate) annotations: Annotations,
    pub(crate) warnings: Vec<String>,
    /// What the rows hold.
    pub(crate) held: Held,
    /// The samples that were looked at, as [`super::QueryStats`] counts them.
    pub(crate) samples: u64,
    /// What was spent on nodes, if that is wanted.
    pub(crate) spent: Vec<(usize, Spent)>,
    /// The bytes of the rows, as long as nobody else accounts for them.
    pub(crate) reservation: Option<Reservation>,
    /// Where rows may be left that are not needed any more.
    spares: Arc<Spares>,
}

/// Batches, as they are computed.
pub(crate) type Batches = BoxStream<'static, Result<Batch>>;

impl Flow {
    /// Begins to compute.
    pub(crate) fn start(self, pool: &CpuPool) -> Batches {
        let (pool, work) = (pool.clone(), Arc::new(self.work));
        // One for each core, and as many that are ready when these are done.
        let under_way = 2 * pool.threads();
        let column_bytes = work.steps.len() * size_of::<f64>();
        let batches = parts::batches(self.parts, column_bytes);
        let computed = batches.map(move |part| {
            let (pool, work) = (pool.clone(), Arc::clone(&work));
            async move {
                let part = part?;
                pool.run(move || work.batch(part)).await
            }
        });
        computed.buffered(under_way).boxed()
    }
}

impl Batch {
    /// Leaves the histograms of its rows to those behind it.
    pub(crate) fn leave(self, histograms: Spare) {
        self.spares.leave(histograms, self.reservation);
    }
}

impl Work {
    /// What is left of the labels of rows without the name of the metric; nothing if no name goes.
    fn nameless(&self, rows: &[Row]) -> Vec<Labels> {
        match !self.options.delayed_name_removal && !self.stages.is_empty() {
            true => rows.iter().map(|row| without_name(&row.labels)).collect(),
            false => Vec::new(),
        }
    }

    /// The rows of some series, those without any value left out.
    fn batch(&self, part: Part) -> Result<Batch> {
        let watch = Watch::start(self.observed);
        let mut samples = Samples::default();
        let (spare, left) = self.spares.take();
        let mut findings = Findings {
            stop: self.stop.clone(),
            spare,
            ..Findings::default()
        };
        let mut rows = Vec::with_capacity(part.series.len());
        let empty = || self.account.as_ref().map(Account::empty);
        let (mut scratch, mut columns) = (empty(), left.or_else(empty));
        let places = (self.steps.len() * size_of::<f64>()) as u64;
        let ends = self.ends();
        let alike = ends.as_ref().filter(|_| self.sums_alike());
        let mut histograms = HistogramRows::default();
        for series in part.series {
            self.stop.check()?;
            if self.reads_rows(&series, alike, &mut histograms)? {
                reserve(&mut scratch, histograms.bytes() as u64)?;
                let row = self.alike(series.labels(), &histograms, &mut findings);
                self.stop.check()?;
                rows.extend(row);
                continue;
            }
            reserve(&mut scratch, self.scratch_bytes(series.decoded_bytes(), 0))?;
            series.decode(ends.as_ref(), &mut samples)?;
            reserve(
                &mut scratch,
                self.scratch_bytes(samples.bytes(), samples.len()),
            )?;
            reserve(&mut columns, (rows.len() as u64 + 1) * places)?;
            if let Some(since) = self.summary_since {
                summarize(&mut samples, since);
            }
            let mut column = Column::absent(self.steps.len());
            self.fill(series.labels(), &mut samples, &mut column, &mut findings);
            if let Some(error) = findings.error.take() {
                return Err(error);
            }
            self.stop.check()?;
            if !column.is_empty() {
                let mut row = Row::new(series.labels().clone(), column);
                row.drop_name = series.drop_name();
                rows.push(row);
            }
        }
        drop((samples, histograms, findings.scratch, findings.spare));
        // Before any stage takes rows away: those of equal labels are to be seen.
        let mut batch = Batch {
            nameless: self.nameless(&rows),
            warnings: part.warnings,
            annotations: findings.annotations,
            held: Held::of_rows(&rows),
            spares: Arc::clone(&self.spares),
            ..Batch::default()
        };
        batch.samples = match &self.fill {
            Fill::Instant(_) => batch.held.samples,
            Fill::Ranged(_) => findings.samples,
        };
        self.observe_fill(&mut batch, rows.len(), &watch);
        batch.rows = self.staged(rows, &mut batch, &mut scratch)?;
        reserve(&mut columns, batch.held.bytes)?;
        if let Some(columns) = &mut columns {
            columns.shrink(batch.held.bytes);
        }
        batch.reservation = columns;
        Ok(batch)
    }

    /// What the stages make of the rows of a batch.
    fn staged(
        &self,
        mut rows: Vec<Row>,
        batch: &mut Batch,
        scratch: &mut Option<Reservation>,
    ) -> Result<Vec<Row>> {
        for (node, stage) in &self.stages {
            let watch = Watch::start(self.observed);
            reserve(scratch, stage.copied_bytes())?;
            rows = self.stage(stage, rows, &mut batch.annotations)?;
            self.stop.check()?;
            if !matches!(stage, Stage::Nameless) {
                batch.held = Held::of_rows(&rows);
            }
            if self.observed {
                // What belongs to the function itself has counted them.
                let is_own = *node == self.nodes.0;
                let count = if is_own { 0 } else { rows.len() };
                let spent = Spent::on(watch.read(), count, batch.held);
                batch.spent.push((*node, spent));
            }
        }
        Ok(rows)
    }

    /// The windows, if only their ends are looked at.
    fn ends(&self) -> Option<WindowTimes> {
        match &self.fill {
            Fill::Ranged(ranged) if self.options.optimize && self.summary_since.is_none() => {
                ranged.ends()
            }
            _ => None,
        }
    }

    /// Whether histograms that have the same buckets are better added up number by number.
    fn sums_alike(&self) -> bool {
        let are_kept = |(_, stage): &(usize, Stage)| matches!(stage, Stage::Nameless);
        let is_plain = !self.observed && !self.options.delayed_name_removal;
        let moves = matches!(&self.fill, Fill::Ranged(selector) if selector.looks.at.is_none());
        self.sums && is_plain && moves && self.stages.iter().all(are_kept)
    }

    /// Whether the samples of a series were read as rows, of which the results will not be too many.
    fn reads_rows(
        &self,
        series: &Given,
        windows: Option<&WindowTimes>,
        out: &mut HistogramRows,
    ) -> Result<bool> {
        let Some(windows) = windows else {
            return Ok(false);
        };
        let bytes = |layout: &HistogramLayout| layout.width() * size_of::<f64>() * self.steps.len();
        let are_few = |rows: &HistogramRows| {
            rows.layout()
                .is_none_or(|layout| bytes(layout) <= MATRIX_BYTES)
        };
        Ok(series.decode_rows(windows, out)? && are_few(out))
    }

    /// The row of a series, if it has a value.
    fn alike(
        &self,
        labels: &Labels,
        histograms: &HistogramRows,
        findings: &mut Findings,
    ) -> Option<Row> {
        let (Fill::Ranged(selector), Some(layout)) = (&self.fill, histograms.layout()) else {
            return None;
        };
        let windows = window::Rows {
            histograms,
            layout,
            looks: selector.looks,
            range_ms: selector.range_ms,
            stop: &findings.stop,
        };
        let weight = weight_of_size(layout.histogram_size());
        let (changes, looked_at) = window::changes(&windows, selector.function.id, weight);
        findings.samples += looked_at;
        (!changes.is_empty()).then(|| Row::alike(labels.clone(), changes))
    }

    /// What a series takes while its column is filled, for samples of so many bytes: with what is noted about each.
    fn scratch_bytes(&self, bytes: usize, samples: usize) -> u64 {
        let noted = match &self.fill {
            Fill::Instant(_) => 0,
            Fill::Ranged(ranged) => window::noted_bytes(ranged.function.id),
        };
        (bytes + samples * noted) as u64
    }

    fn observe_fill(&self, batch: &mut Batch, rows: usize, watch: &Watch) {
        if !self.observed {
            return;
        }
        let (node, selector) = self.nodes;
        let mut spent = Spent::on(watch.read(), rows, batch.held);
        spent.samples = batch.samples;
        batch.spent.push((node, spent));
        if selector != node {
            spent.time = Duration::ZERO;
            spent.peak = Held::default();
            batch.spent.push((selector, spent));
        }
    }

    fn fill(
        &self,
        labels: &Labels,
        samples: &mut Samples,
        column: &mut Column,
        findings: &mut Findings,
    ) {
        match &self.fill {
            Fill::Instant(selector) => select::instant(selector, labels, samples, column, findings),
            Fill::Ranged(selector) => select::ranged(selector, labels, samples, column, findings),
        }
    }

    fn stage(
        &self,
        stage: &Stage,
        mut rows: Vec<Row>,
        annotations: &mut Annotations,
    ) -> Result<Vec<Row>> {
        match stage {
            Stage::Nameless => {
                stage::nameless(&mut rows, &self.options);
                Ok(rows)
            }
            Stage::Negate => {
                stage::negate(&mut rows);
                stage::nameless(&mut rows, &self.options);
                Ok(rows)
            }
            Stage::Call(call, args) => {
                let mut rows = Some(Operand::Vector(rows));
                let args = args.iter();
                let args = args.filter_map(|arg| arg.clone().or_else(|| rows.take()));
                let args = args.collect();
                let mut context = CallContext {
                    call,
                    steps: self.steps,
                    query: self.query,
                    options: &self.options,
                    annotations,
                    patterns: &mut Patterns::default(),
                    stop: &self.stop,
                };
                call::apply(&mut context, args).map(Operand::into_vector)
            }
            Stage::Scalar(binary, scalar, is_left) => {
                let (mut lhs, mut rhs) = (Operand::Vector(rows), Operand::Scalar(scalar.clone()));
                if *is_left {
                    (lhs, rhs) = (rhs, lhs);
                }
                let mut context = BinaryContext {
                    binary,
                    steps: self.steps.len(),
                    options: &self.options,
                    annotations,
                    stop: &self.stop,
                };
                binary::apply(&mut context, lhs, rhs).map(Operand::into_vector)
            }
        }
    }
}

/// Reserves so many bytes, unless as many are reserved already.
fn reserve(reservation: &mut Option<Reservation>, bytes: u64) -> Result<()> {
    if let Some(reservation) = reservation
        && let Some(more) = bytes.checked_sub(reservation.bytes())
    {
        reservation.grow(more)?;
    }
    Ok(())
}
