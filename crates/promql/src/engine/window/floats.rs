//! The common case, at speed: plain ranges over series of floats whose start timestamps do not matter.
//!
//! Nothing is asked at each step that was answered for the whole series, and results go straight into the column.
//! They are those of the general functions, bit for bit: sums are taken anew at each step, while extremes, where the
//! order of looking does not matter, are kept from step to step.

use std::collections::VecDeque;

use super::{Profile, Window, Within, average, rate};
use crate::ast::FunctionId;
use crate::engine::select::Looks;
use crate::engine::stop::Stop;

/// The windows of a series at all steps.
#[derive(Debug)]
pub(crate) struct Windows<'a> {
    pub(crate) samples: &'a rutile_model::Samples,
    pub(crate) profile: &'a Profile,
    pub(crate) looks: Looks,
    pub(crate) range_ms: i64,
    pub(crate) stop: &'a Stop,
}

/// Fills a column; tells how many samples it looked at, each once for each step.
pub(crate) type FloatKernel = fn(&Windows<'_>, &mut [f64]) -> u64;

/// What computes a function of floats at all steps; none if there is only the general way.
pub(crate) fn float_kernel(id: FunctionId) -> Option<FloatKernel> {
    Some(match id {
        FunctionId::Rate => |windows, out| windows.each(out, |w| rate::of_floats(w, rate::RATE)),
        FunctionId::Increase => {
            |windows, out| windows.each(out, |w| rate::of_floats(w, rate::INCREASE))
        }
        FunctionId::Delta => |windows, out| windows.each(out, |w| rate::of_floats(w, rate::DELTA)),
        FunctionId::MaxOverTime => |windows, out| windows.extremes(out, |a, b| a > b),
        FunctionId::MinOverTime => |windows, out| windows.extremes(out, |a, b| a < b),
        FunctionId::SumOverTime => {
            |windows, out| windows.each(out, |w| Some(average::sum_of_floats(w.plain_floats())))
        }
        FunctionId::AvgOverTime => {
            |windows, out| windows.each(out, |w| Some(average::average_of_floats(w.plain_floats())))
        }
        FunctionId::CountOverTime => |windows, out| windows.each(out, |w| Some(w.len() as f64)),
        FunctionId::PresentOverTime => |windows, out| windows.each(out, |_| Some(1.0)),
        FunctionId::LastOverTime => {
            |windows, out| windows.each(out, |w| w.plain_floats().last().copied())
        }
        _ => return None,
    })
}

impl Windows<'_> {
    /// Puts the value of each window that has samples.
    #[inline(always)]
    fn each(&self, out: &mut [f64], mut value: impl FnMut(&Window<'_>) -> Option<f64>) -> u64 {
        let (mut within, mut looked_at) = (Within::default(), 0);
        let times = self.samples.times.as_slice();
        let mut pace = self.stop.pace();
        for (step, place) in out.iter_mut().enumerate() {
            let range_end = self.looks.time(step);
            let range_start = range_end - self.range_ms;
            within.move_to(times, range_start, range_end);
            let Within { from, to } = within;
            if from == to {
                continue;
            }
            if pace.ends_before(to - from) {
                break;
            }
            looked_at += (to - from) as u64;
            let window = Window {
                samples: self.samples,
                profile: self.profile,
                from,
                to,
                range_start,
                range_end,
                time: range_end,
                lookback_ms: 0,
                extension: None,
            };
            if let Some(value) = value(&window) {
                *place = value;
            }
        }
        looked_at
    }

    /// The best value of each window, of equal ones the first; NaN is worse than all numbers.
    ///
    /// A value that comes later and is better makes those before it useless: what is left is a queue, the best one
    /// in front (the ascending minima of Lemire, "Streaming maximum-minimum filter", 2006).
    #[inline(always)]
    fn extremes(&self, out: &mut [f64], is_better: impl Fn(f64, f64) -> bool) -> u64 {
        let mut queue: VecDeque<(usize, f64)> = VecDeque::new();
        let mut next = 0;
        self.each(out, |window| {
            for i in next.max(window.from)..window.to {
                let value = window.float_at(i);
                if value.is_nan() {
                    continue;
                }
                while queue
                    .pop_back_if(|(_, before)| is_better(value, *before))
                    .is_some()
                {}
                queue.push_back((i, value));
            }
            next = window.to;
            while queue.pop_front_if(|(i, _)| *i < window.from).is_some() {}
            match queue.front() {
                Some((_, value)) => Some(*value),
                None => window.plain_floats().last().copied(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rutile_model::Samples;
    use rutile_runtime::CancellationToken;

    use super::*;
    use crate::engine::steps::Steps;

    /// Each window has all samples: to look at all of them at all steps would take minutes.
    #[test]
    fn steps_end_when_nobody_wants_them() {
        let (steps, window) = (10_000, 100_000);
        let mut samples = Samples::default();
        (0..window).for_each(|time| samples.push_float(time, 1.0));
        let token = CancellationToken::new();
        let windows = Windows {
            samples: &samples,
            profile: &Profile::default(),
            looks: Looks {
                steps: Steps::inner(window, window + steps - 1, 1),
                at: None,
                offset_ms: 0,
            },
            range_ms: 10 * window,
            stop: &Stop::by(token.clone()),
        };
        let mut calls = 0;
        let mut out = vec![0.0; 10_000];
        windows.each(&mut out, |_| {
            calls += 1;
            token.cancel();
            Some(1.0)
        });
        assert_eq!(calls, 1);
    }
}
