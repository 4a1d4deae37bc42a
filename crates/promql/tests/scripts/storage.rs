//! Series in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rutile_model::{FloatHistogram, Labels};
use rutile_promql::{
    Samples, Select, Selected, SelectedStream, Series, SeriesValue, Source, SourceError,
};

use super::script::{Load, Loaded};
use super::{hints, nhcb};

/// All that a script has loaded.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    series: Mutex<BTreeMap<Labels, Arc<Stored>>>,
}

/// A series.
#[derive(Debug, Clone, Default)]
struct Stored {
    labels: Labels,
    samples: Samples,
    /// The same with the hints of the script.
    written: Samples,
}

impl Storage {
    pub(crate) fn clear(&self) {
        self.series.lock().clear();
    }

    /// Adds what a command loads.
    pub(crate) fn load(&self, load: &Load) -> Result<(), String> {
        for series in &load.series {
            self.append(&series.labels, |samples| {
                push(samples, series, load.step_ms);
            })?;
        }
        if load.with_nhcb {
            for (labels, histograms) in nhcb::convert(load)? {
                self.append(&labels, |samples| {
                    for (time, histogram) in &histograms {
                        samples.push_histogram(*time, Arc::new(histogram.clone()));
                    }
                })?;
            }
        }
        Ok(())
    }

    fn append(&self, labels: &Labels, push: impl FnOnce(&mut Samples)) -> Result<(), String> {
        let mut all = self.series.lock();
        let stored = all.entry(labels.clone()).or_insert_with(|| {
            Arc::new(Stored {
                labels: labels.clone(),
                ..Stored::default()
            })
        });
        let stored = Arc::make_mut(stored);
        push(&mut stored.written);
        stored.samples.clone_from(&stored.written);
        hints::set(&mut stored.samples);
        if stored.samples.times.is_sorted_by(|a, b| a < b) {
            Ok(())
        } else {
            Err(format!("samples of {labels} are out of order"))
        }
    }
}

fn push(samples: &mut Samples, series: &Loaded, step_ms: i64) {
    let any_start = !series.starts.is_empty();
    if any_start {
        samples.starts.resize(samples.len(), 0);
    }
    let mut time = 0;
    for (i, value) in series.values.iter().enumerate() {
        if let Some(value) = value {
            match value {
                SeriesValue::Float(value) => samples.push_float(time, *value),
                SeriesValue::Histogram { histogram, .. } => {
                    samples.push_histogram(time, Arc::clone(histogram));
                }
            }
            if any_start {
                let offset = series.starts.get(i).copied().flatten();
                samples
                    .starts
                    .push(offset.map_or(0, |offset| time + offset));
            } else if !samples.starts.is_empty() {
                samples.starts.push(0);
            }
        }
        time += step_ms;
    }
}

#[async_trait]
impl Source for Storage {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        let matches = |labels: &Labels| {
            let mut matchers = select.matchers.iter();
            matchers.all(|matcher| matcher.matches(labels.value(matcher.name())))
        };
        let all = self.series.lock();
        let mut series: Vec<Arc<dyn Series>> = Vec::new();
        for stored in all.values().filter(|stored| matches(&stored.labels)) {
            let from = stored
                .samples
                .times
                .partition_point(|t| *t < select.min_time);
            let to = stored
                .samples
                .times
                .partition_point(|t| *t <= select.max_time);
            if from < to {
                series.push(Arc::new(cut(stored, from, to)));
            }
        }
        let selected = Selected {
            series,
            warnings: Vec::new(),
        };
        Ok(selected.into_stream())
    }
}

/// The series with only so many of its samples.
fn cut(stored: &Stored, from: usize, to: usize) -> Stored {
    let all = &stored.samples;
    let mut samples = Samples::default();
    samples.times.extend(&all.times[from..to]);
    samples.floats.extend(&all.floats[from..to]);
    if let Some(histograms) = all.histograms.get(from..to) {
        let any = histograms.iter().any(Option::is_some);
        samples.histograms = if any { histograms.to_vec() } else { Vec::new() };
    }
    if let Some(starts) = all.starts.get(from..to) {
        samples.starts = starts.to_vec();
    }
    Stored {
        labels: stored.labels.clone(),
        samples,
        written: Samples::default(),
    }
}

impl Series for Stored {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clone_from(&self.samples);
        Ok(())
    }
}

/// Times and histograms.
pub(crate) type Histograms = Vec<(i64, FloatHistogram)>;
