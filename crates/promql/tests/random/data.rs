//! Random series: what a scrape yields, and what it should not.
//!
//! A series is a line in the notation of test scripts, one sample a minute, so that Prometheus reads the same.

use std::fmt::Write as _;
use std::sync::Arc;

use rutile_chunk::Encoding;
use rutile_model::Labels;
use rutile_promql::{Samples, SeriesValue, parse_series};

use crate::chance::Chance;

/// Between two samples of a series.
pub(crate) const INTERVAL_MS: i64 = 60_000;

/// How many there are at most.
pub(crate) const SAMPLES: usize = 50;

/// The time of the last sample.
pub(crate) const LAST_MS: i64 = INTERVAL_MS * (SAMPLES as i64 - 1);

/// A series with its samples.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) labels: Labels,
    pub(crate) samples: Samples,
    /// These, if they went through chunks.
    pub(crate) chunks: Vec<(Encoding, Vec<u8>)>,
}

impl Stored {
    pub(crate) fn read(line: &str) -> Self {
        let (labels, values) = parse_series(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let mut samples = Samples::default();
        for (time, value) in (0..).step_by(INTERVAL_MS as usize).zip(values) {
            match value {
                None => {}
                Some(SeriesValue::Float(value)) => samples.push_float(time, value),
                Some(SeriesValue::Histogram { histogram, .. }) => {
                    samples.push_histogram(time, histogram);
                }
            }
        }
        let chunks = Vec::new();
        Self {
            labels,
            samples,
            chunks,
        }
    }
}

/// The series of these lines, sorted.
pub(crate) fn stored(lines: &[String]) -> Vec<Arc<Stored>> {
    let mut all: Vec<_> = lines.iter().map(|l| Arc::new(Stored::read(l))).collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

/// Random series of all kinds.
pub(crate) fn lines(seed: u64) -> Vec<String> {
    let mut maker = Maker(Chance::new(seed));
    let mut lines = Vec::new();
    for job in ["a", "b"] {
        for instance in ["i0", "i1", "i2"] {
            let place = format!("job=\"{job}\",instance=\"{instance}\"");
            for code in ["200", "500"] {
                let labels = format!("requests_total{{{place},code=\"{code}\"}}");
                lines.push(maker.line(&labels, Maker::counter));
            }
            lines.push(maker.line(&format!("temperature{{{place}}}"), Maker::gauge));
            let info = format!("{place},version=\"v{}\",region=\"r\"", maker.0.below(2));
            lines.push(maker.line(&format!("target_info{{{info}}}"), |_| constant(1.0)));
        }
        for instance in ["i0", "i1"] {
            let place = format!("job=\"{job}\",instance=\"{instance}\"");
            lines.push(maker.line(&format!("size{{{place}}}"), Maker::exponential));
            lines.push(maker.line(&format!("custom{{{place}}}"), Maker::custom));
            lines.push(maker.line(&format!("mixed{{{place}}}"), Maker::mixed));
        }
        lines.extend(maker.classic(&format!("job=\"{job}\",instance=\"i0\"")));
        lines.push(maker.line(&format!("constant{{job=\"{job}\"}}"), |_| constant(2.0)));
        let labels =
            format!("{{\"http.server.duration\",\"service.name\"=\"{job}é\",job=\"{job}\"}}");
        lines.push(maker.line(&labels, Maker::gauge));
    }
    let labels = "typed{__type__=\"counter\",__unit__=\"seconds\",job=\"a\"}";
    lines.push(maker.line(labels, Maker::counter));
    lines
}

/// Yields the text of one value after the other.
type Values = Box<dyn FnMut(&mut Chance) -> String>;

fn constant(value: f64) -> Values {
    Box::new(move |_| value.to_string())
}

struct Maker(Chance);

impl Maker {
    /// A series with gaps and stale markers here and there.
    fn line(&mut self, labels: &str, values: impl FnOnce(&mut Self) -> Values) -> String {
        let mut next = values(self);
        let (from, to) = match self.0.below(6) {
            0 => (self.0.below(20), SAMPLES),
            1 => (0, 20 + self.0.below(20)),
            _ => (0, SAMPLES),
        };
        let mut line = labels.to_owned();
        let mut gap = 0;
        for i in 0..to {
            let value = next(&mut self.0);
            if gap == 0 && self.0.percent(2) {
                gap = 1 + self.0.below(8);
            }
            if i < from || gap > 0 {
                gap = gap.saturating_sub(1);
                line += if i >= from && self.0.percent(10) {
                    " stale"
                } else {
                    " _"
                };
            } else {
                write!(line, " {value}").expect("a string");
            }
        }
        line
    }

    fn counter(&mut self) -> Values {
        let resets = self.0.pick(&[0, 0, 4, 10]);
        let mut value = 0.0;
        Box::new(move |chance| {
            if chance.percent(resets) {
                value = chance.below(3) as f64;
            } else if !chance.percent(15) {
                value += chance.below(100) as f64 / 4.0;
            }
            value.to_string()
        })
    }

    fn gauge(&mut self) -> Values {
        let odd = self.0.pick(&[0, 0, 0, 6]);
        let scale = self.0.pick(&[1.0, 20.0, 1e6]);
        Box::new(move |chance| {
            if chance.percent(odd) {
                return chance
                    .pick(&["NaN", "+Inf", "-Inf", "-0", "1e300", "1e-300"])
                    .to_owned();
            }
            ((chance.unit() - 0.4) * scale).to_string()
        })
    }

    /// A native histogram of integer counts; its resolution may change.
    fn exponential(&mut self) -> Values {
        let (resets, coarser) = (self.0.pick(&[0, 5]), self.0.pick(&[0, 3]));
        let hint = self.0.pick(&["", "", "", " counter_reset_hint:gauge"]);
        let mut schema = self.0.pick(&[0i32, 1, 3]);
        let (mut counts, mut negative) = ([0usize; 5], [0usize; 2]);
        let (mut zero, offset) = (0, self.0.below(4) as i32 - 2);
        Box::new(move |chance| {
            if chance.percent(resets) {
                (counts, negative, zero) = ([0; 5], [0; 2], 0);
            }
            schema -= i32::from(chance.percent(coarser) && schema > 0);
            zero += chance.below(3);
            counts
                .iter_mut()
                .for_each(|count| *count += chance.below(5));
            negative
                .iter_mut()
                .for_each(|count| *count += chance.below(2));
            let count = zero + counts.iter().chain(&negative).sum::<usize>();
            let sum = counts[2] as f64 * 1.5 + counts[4] as f64 * 7.25 - negative[0] as f64;
            format!(
                "{{{{schema:{schema} count:{count} sum:{sum} z_bucket:{zero} z_bucket_w:0.001 \
                 offset:{offset} buckets:[{}] n_buckets:[{}]{hint}}}}}",
                spaced(&counts),
                spaced(&negative)
            )
        })
    }

    /// A native histogram with bounds of its own, which may change.
    fn custom(&mut self) -> Values {
        let changes = self.0.pick(&[0, 0, 2]);
        let mut bounds = "1 2.5 10";
        let mut counts = [0usize; 4];
        Box::new(move |chance| {
            if chance.percent(changes) {
                bounds = chance.pick(&["1 2.5 10", "1 5 10", "0.5 1 2.5"]);
            }
            counts
                .iter_mut()
                .for_each(|count| *count += chance.below(6));
            let (count, sum) = (counts.iter().sum::<usize>(), counts[1] * 2 + counts[3] * 15);
            let buckets = spaced(&counts);
            format!(
                "{{{{schema:-53 count:{count} sum:{sum} custom_values:[{bounds}] buckets:[{buckets}]}}}}"
            )
        })
    }

    fn mixed(&mut self) -> Values {
        let (mut floats, mut histograms) = (self.gauge(), self.exponential());
        let mut float = true;
        Box::new(move |chance| {
            float ^= chance.percent(12);
            let histogram = histograms(chance);
            if float { floats(chance) } else { histogram }
        })
    }

    /// The series of a classic histogram, whose counts may contradict each other.
    fn classic(&mut self, place: &str) -> Vec<String> {
        let wrong = self.0.pick(&[0, 0, 4]);
        let mut totals = [0usize; 5];
        let mut texts: Vec<String> = ["0.1", "0.5", "1", "10", "+Inf"]
            .map(|le| format!("latency_bucket{{{place},le=\"{le}\"}}"))
            .into();
        texts.push(format!("latency_count{{{place}}}"));
        texts.push(format!("latency_sum{{{place}}}"));
        for _ in 0..SAMPLES {
            let mut sum = 0;
            for (total, text) in totals.iter_mut().zip(&mut texts) {
                sum += self.0.below(4);
                *total += sum;
                let less = usize::from(self.0.percent(wrong)) * 30;
                write!(text, " {}", total.saturating_sub(less)).expect("a string");
            }
            write!(texts[5], " {}", totals[4]).expect("a string");
            write!(texts[6], " {}", totals[4] as f64 * 0.75).expect("a string");
        }
        texts
    }
}

fn spaced(counts: &[usize]) -> String {
    let texts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    texts.join(" ")
}
