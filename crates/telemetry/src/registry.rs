//! The metrics of one process (or, in tests, of one component).
//!
//! A [`Registry`] makes handles by name. Asking twice for the same metric gives the same handle,
//! so that two buckets or two caches can share a metric. Output is sorted by name and labels.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};
use prometheus::{
    Counter, CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec,
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder,
};

/// The content type of [`Registry::render`].
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A set of metrics. Clones share it; [`Registry::with_label`] and [`Registry::with_prefix`] give
/// views of the same set.
#[derive(Clone, Default)]
pub struct Registry {
    shared: Arc<Shared>,
    prefix: String,
    labels: HashMap<String, String>,
}

#[derive(Default)]
struct Shared {
    metrics: prometheus::Registry,
    /// Handles by kind, name and labels.
    handles: Mutex<BTreeMap<String, Box<dyn Any + Send>>>,
}

/// Makes the handles of one kind: `$make(opts, labels)`.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident -> $kind:ty, $vec_name:ident -> $vec:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// If the name is taken by a metric of another kind, labels or help, or is not valid.
        #[must_use]
        pub fn $name(&self, name: &str, help: &str) -> $kind {
            self.get_or_make(stringify!($name), name, &[], || {
                <$kind>::with_opts(self.opts(name, help))
            })
        }

        /// The same with labels.
        ///
        /// # Panics
        /// If the name is taken by a metric of another kind, labels or help, or is not valid.
        #[must_use]
        pub fn $vec_name(&self, name: &str, help: &str, labels: &[&str]) -> $vec {
            self.get_or_make(stringify!($vec_name), name, labels, || {
                <$vec>::new(self.opts(name, help), labels)
            })
        }
    )*};
}

impl Registry {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    constructors! {
        /// A counter of whole numbers.
        int_counter -> IntCounter, int_counter_vec -> IntCounterVec;
        /// A counter of floats, for seconds.
        counter -> Counter, counter_vec -> CounterVec;
        /// A gauge of whole numbers.
        int_gauge -> IntGauge, int_gauge_vec -> IntGaugeVec;
        /// A gauge of floats.
        gauge -> Gauge, gauge_vec -> GaugeVec;
    }

    /// A histogram with these upper bounds (without `+Inf`).
    ///
    /// # Panics
    /// If the name is taken by another metric, or the bounds do not rise.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.get_or_make("histogram", name, &[], || {
            Histogram::with_opts(self.histogram_opts(name, help, buckets))
        })
    }

    /// The same with labels.
    ///
    /// # Panics
    /// If the name is taken by another metric, or the bounds do not rise.
    #[must_use]
    pub fn histogram_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        self.get_or_make("histogram_vec", name, labels, || {
            HistogramVec::new(self.histogram_opts(name, help, buckets), labels)
        })
    }

    /// A gauge whose value is asked for at every scrape; `read` must be quick and not block.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn gauge_fn(&self, name: &str, help: &str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.add(Box::new(ReadGauge::new(
            self.opts(name, help),
            MetricType::GAUGE,
            read,
        )));
    }

    /// A counter whose value is asked for at every scrape; `read` must be quick and never fall.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn counter_fn(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(Box::new(ReadGauge::new(
            self.opts(name, help),
            MetricType::COUNTER,
            read,
        )));
    }

    /// Adds a collector of one's own. The labels of this view are added to its metrics; the prefix is not put before
    /// their names.
    ///
    /// # Panics
    /// If one of its names is taken.
    pub fn register(&self, collector: Box<dyn Collector>) {
        match self.labels.is_empty() {
            true => self.add(collector),
            false => self.add(Box::new(Labelled::new(collector, &self.labels))),
        }
    }

    fn add(&self, collector: Box<dyn Collector>) {
        if let Err(error) = self.shared.metrics.register(collector) {
            panic!("metric cannot be registered: {error}");
        }
    }

    /// A view that adds a label with a fixed value to all metrics made through it.
    #[must_use]
    pub fn with_label(&self, name: &str, value: &str) -> Self {
        let mut view = self.clone();
        view.labels.insert(name.to_owned(), value.to_owned());
        view
    }

    /// A view that puts `prefix` before the name of all metrics made through it.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Self {
        let mut view = self.clone();
        view.prefix.push_str(prefix);
        view
    }

    /// All metrics in the Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory cannot fail, and a family without metrics is not written at all.
        for family in self.shared.metrics.gather() {
            if let Err(error) = TextEncoder::new().encode(&[family], &mut out) {
                tracing::warn!(%error, "a metric family was left out");
            }
        }
        String::from_utf8(out).unwrap_or_default()
    }

    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("{}{name}", self.prefix), help).const_labels(self.labels.clone())
    }

    fn histogram_opts(&self, name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts {
            common_opts: self.opts(name, help),
            buckets: buckets.to_vec(),
        }
    }

    fn get_or_make<M>(
        &self,
        kind: &str,
        name: &str,
        labels: &[&str],
        make: impl FnOnce() -> prometheus::Result<M>,
    ) -> M
    where
        M: Collector + Clone + 'static,
    {
        let fixed: BTreeMap<_, _> = self.labels.iter().collect();
        let key = format!("{kind} {}{name} {labels:?} {fixed:?}", self.prefix);
        let mut handles = self.shared.handles.lock();
        if let Some(handle) = handles
            .get(&key)
            .and_then(|handle| handle.downcast_ref::<M>())
        {
            return handle.clone();
        }
        match make() {
            Ok(metric) => {
                self.add(Box::new(metric.clone()));
                handles.insert(key, Box::new(metric.clone()));
                metric
            }
            Err(error) => panic!("metric {name} cannot be made: {error}"),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = self.shared.handles.lock().len();
        f.debug_struct("Registry")
            .field("metrics", &metrics)
            .finish_non_exhaustive()
    }
}

/// A collector whose metrics get labels with fixed values.
struct Labelled {
    inner: Box<dyn Collector>,
    /// Sorted by name.
    labels: Vec<proto::LabelPair>,
    desc: Vec<Desc>,
}

impl Labelled {
    fn new(inner: Box<dyn Collector>, labels: &HashMap<String, String>) -> Self {
        let sorted: BTreeMap<_, _> = labels.iter().collect();
        let describe = |desc: &Desc| {
            let own = desc.const_label_pairs.iter();
            let own = own.map(|pair| (pair.name().to_owned(), pair.value().to_owned()));
            let all = own.chain(labels.clone()).collect();
            let variable = desc.variable_labels.clone();
            Desc::new(desc.fq_name.clone(), desc.help.clone(), variable, all).ok()
        };
        Self {
            desc: inner.desc().into_iter().filter_map(describe).collect(),
            labels: sorted
                .into_iter()
                .map(|(name, value)| label_pair(name, value))
                .collect(),
            inner,
        }
    }
}

impl Collector for Labelled {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.inner.collect();
        for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
            let mut labels = self.labels.clone();
            labels.extend(metric.take_label());
            labels.sort_by(|a, b| a.name().cmp(b.name()));
            metric.set_label(labels);
        }
        families
    }
}

fn label_pair(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// One value that is read when it is collected.
struct ReadGauge<F> {
    name: String,
    help: String,
    labels: Vec<(String, String)>,
    desc: Vec<Desc>,
    kind: MetricType,
    read: F,
}

impl<F: Fn() -> f64> ReadGauge<F> {
    fn new(opts: Opts, kind: MetricType, read: F) -> Self {
        let labels: BTreeMap<_, _> = opts.const_labels.clone().into_iter().collect();
        let desc = Desc::new(
            opts.name.clone(),
            opts.help.clone(),
            vec![],
            opts.const_labels,
        );
        Self {
            name: opts.name,
            help: opts.help,
            labels: labels.into_iter().collect(),
            desc: desc.into_iter().collect(),
            kind,
            read,
        }
    }
}

impl<F: Fn() -> f64 + Send + Sync> Collector for ReadGauge<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut metric = proto::Metric::default();
        let pairs = self.labels.iter();
        let pairs = pairs.map(|(name, value)| label_pair(name, value));
        metric.set_label(pairs.collect());
        if self.kind == MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value((self.read)());
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value((self.read)());
            metric.set_gauge(gauge);
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.clone());
        family.set_help(self.help.clone());
        family.set_field_type(self.kind);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_come_out_as_written() {
        let registry = Registry::new();
        let operations = registry.int_counter_vec("b_operations_total", "Help.", &["operation"]);
        operations.with_label_values(&["get"]).inc_by(3);
        registry.gauge("a_gauge", "A gauge.").set(0.5);
        let seconds = registry.histogram("c_seconds", "Seconds.", &[0.1, 1.0]);
        seconds.observe(0.2);
        registry
            .with_prefix("d_")
            .with_label("name", "x")
            .gauge_fn("read", "Read.", || 7.0);
        assert_eq!(
            registry.render(),
            "# HELP a_gauge A gauge.\n# TYPE a_gauge gauge\na_gauge 0.5\n\
             # HELP b_operations_total Help.\n# TYPE b_operations_total counter\n\
             b_operations_total{operation=\"get\"} 3\n\
             # HELP c_seconds Seconds.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{le=\"0.1\"} 0\nc_seconds_bucket{le=\"1\"} 1\n\
             c_seconds_bucket{le=\"+Inf\"} 1\nc_seconds_sum 0.2\nc_seconds_count 1\n\
             # HELP d_read Read.\n# TYPE d_read gauge\nd_read{name=\"x\"} 7\n"
        );
    }

    #[test]
    fn collectors_of_ones_own_get_the_labels_of_the_view() {
        let registry = Registry::new();
        for component in ["one", "two"] {
            let kinds = IntCounterVec::new(Opts::new("x_total", "Help."), &["kind"]).unwrap();
            kinds.with_label_values(&["a"]).inc();
            let view = registry.with_label("component", component);
            view.register(Box::new(kinds));
        }
        assert_eq!(
            registry.render(),
            "# HELP x_total Help.\n# TYPE x_total counter\n\
             x_total{component=\"one\",kind=\"a\"} 1\nx_total{component=\"two\",kind=\"a\"} 1\n"
        );
    }

    #[test]
    fn asking_twice_gives_the_same_handle() {
        let registry = Registry::new();
        registry.int_counter("x_total", "Help.").inc();
        registry.int_counter("x_total", "Help.").inc();
        assert_eq!(registry.int_counter("x_total", "Help.").get(), 2);
        let one = registry
            .with_label("bucket", "one")
            .int_counter("y_total", "Help.");
        let two = registry
            .with_label("bucket", "two")
            .int_counter("y_total", "Help.");
        one.inc();
        assert_eq!((one.get(), two.get()), (1, 0));
        assert_eq!(registry.render().matches("# TYPE y_total").count(), 1);
    }

    #[test]
    fn an_empty_family_hides_no_other() {
        let registry = Registry::new();
        let empty = registry.int_counter_vec("a_total", "Help.", &["x"]);
        registry.int_counter("b_total", "Help.").inc();
        assert_eq!(
            registry.render(),
            "# HELP b_total Help.\n# TYPE b_total counter\nb_total 1\n"
        );
        drop(empty);
    }

    #[test]
    fn a_name_has_one_kind() {
        let registry = Registry::new();
        registry.int_counter("x", "Help.").inc();
        let other = || registry.gauge_vec("x", "Help.", &["label"]);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(other)).is_err());
    }
}
