//! Operators, with operands that find each other most of the time.

use super::{Generator, Shape, Text};

pub(super) const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2"];
pub(super) const COMPARISON: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const SETS: &[&str] = &["and", "or", "unless"];
const TRIMS: &[&str] = &["</", ">/"];

impl Generator {
    pub(super) fn scalar_comparison(&mut self, depth: usize) -> Text {
        let op = self.chance.pick(COMPARISON);
        let (lhs, rhs) = (self.scalar(depth).closed(), self.scalar(depth).closed());
        Text::loose(format!("{lhs} {op} bool {rhs}"))
    }

    pub(super) fn scalar_arithmetic(&mut self, depth: usize) -> Text {
        let op = self.chance.pick(ARITHMETIC);
        let (lhs, rhs) = (self.scalar(depth), self.scalar(depth));
        // Whatever binds stronger than the other, the types stay right.
        let (lhs, rhs) = if self.chance.percent(30) && is_arithmetic(&lhs) && is_arithmetic(&rhs) {
            (lhs.text, rhs.text)
        } else {
            (lhs.closed(), rhs.closed())
        };
        Text::loose(format!("{lhs} {op} {rhs}"))
    }

    pub(super) fn binary(&mut self, shape: Shape, depth: usize) -> Text {
        match self.chance.below(12) {
            0..=3 => self.with_scalar(shape, depth),
            4..=5 => self.with_itself(shape, depth),
            6 => self.sets(shape, depth),
            7..=8 => self.many_to_one(),
            9..=10 => self.groups(shape, depth),
            _ => self.trimmed(depth),
        }
    }

    fn operator(&mut self, vectors: bool) -> String {
        match self.chance.below(if vectors { 12 } else { 10 }) {
            0..=5 => self.chance.pick(ARITHMETIC).to_owned(),
            6..=7 => self.chance.pick(COMPARISON).to_owned(),
            8..=9 => format!("{} bool", self.chance.pick(COMPARISON)),
            _ => self.chance.pick(SETS).to_owned(),
        }
    }

    fn with_scalar(&mut self, shape: Shape, depth: usize) -> Text {
        let vector = self.vector(shape, depth);
        let op = self.operator(false);
        if shape == Shape::Histogram {
            let op = self.chance.pick(&["*", "/"]);
            return Text::loose(format!("{} {op} {}", vector.closed(), self.number()));
        }
        let scalar = self.scalar(usize::from(depth > 0)).closed();
        let vector = vector.closed();
        Text::loose(if self.chance.percent(60) {
            format!("{vector} {op} {scalar}")
        } else {
            format!("{scalar} {op} {vector}")
        })
    }

    /// The same series on both sides, so that each finds itself.
    fn with_itself(&mut self, shape: Shape, depth: usize) -> Text {
        let series = self.series(if shape == Shape::Any {
            Shape::Float
        } else {
            shape
        });
        let (lhs, rhs) = (self.variant(&series), self.variant(&series));
        let op = self.operator(true);
        let is_set = SETS.contains(&op.as_str());
        let matching = self.chance.pick(&[
            "",
            "",
            " ignoring ()",
            " ignoring (missing, \"a.b\")",
            " on (job, instance, code, le, \"service.name\")",
        ]);
        let fill = if is_set { String::new() } else { self.fill() };
        let third = if depth > 0 && self.chance.percent(20) {
            " and on (job) temperature"
        } else {
            ""
        };
        Text::loose(format!("{lhs} {op}{matching}{fill} {rhs}{third}"))
    }

    fn variant(&mut self, series: &str) -> String {
        match self.chance.below(7) {
            0 => format!("{series} offset 1m"),
            1 => format!("rate({series}[5m])"),
            2 => format!("max_over_time({series}[5m:1m])"),
            3 => format!("{series} @ 1500"),
            4 => format!("({series} > 3)"),
            _ => series.to_owned(),
        }
    }

    fn sets(&mut self, shape: Shape, depth: usize) -> Text {
        let (lhs, rhs) = (
            self.vector(shape, depth).closed(),
            self.vector(Shape::Any, depth).closed(),
        );
        let op = self.chance.pick(SETS);
        let matching = self.chance.pick(&[
            "",
            " on (job)",
            " ignoring (code, le)",
            " on ()",
            " on (job, instance)",
        ]);
        Text::loose(format!("{lhs} {op}{matching} {rhs}"))
    }

    /// Many series of one side find one of the other.
    fn many_to_one(&mut self) -> Text {
        let many = self.series(Shape::Any);
        let (one, on) = self.chance.pick(&[
            ("target_info", "on (job, instance)"),
            ("sum by (job) (requests_total)", "on (job)"),
            ("max by (job, region) (target_info)", "on (job)"),
            ("constant", "on (job)"),
            (
                "constant",
                "ignoring (instance, code, le, \"service.name\")",
            ),
            ("avg by (job) (size)", "on (job)"),
        ]);
        let include =
            self.chance
                .pick(&["", " (version)", " (region, missing)", " ()", " (\"a.b\")"]);
        let op = self.operator(false);
        let fill = self.fill();
        Text::loose(if self.chance.percent(50) {
            format!("{many} {op} {on} group_left{include}{fill} {one}")
        } else {
            format!("{one} {op} {on} group_right{include}{fill} {many}")
        })
    }

    /// Groups of the same labels on both sides.
    fn groups(&mut self, shape: Shape, depth: usize) -> Text {
        let labels = self.chance.pick(&["job", "job, instance", "instance"]);
        let ops = if shape == Shape::Any {
            &["sum", "max", "count", "avg"][..]
        } else {
            &["sum", "avg"][..]
        };
        let (lhs, rhs) = (self.chance.pick(ops), self.chance.pick(ops));
        let lhs = format!("{lhs} by ({labels}) ({})", self.vector(shape, depth).text);
        let rhs = format!(
            "{rhs} by ({labels}) ({})",
            self.vector(shape, depth.min(1)).text
        );
        let op = self.operator(true);
        let matching = match self.chance.below(3) {
            0 => format!(" on ({labels})"),
            1 => " ignoring (missing)".to_owned(),
            _ => String::new(),
        };
        let fill = if SETS.contains(&op.as_str()) {
            String::new()
        } else {
            self.fill()
        };
        Text::loose(format!("{lhs} {op}{matching}{fill} {rhs}"))
    }

    fn trimmed(&mut self, depth: usize) -> Text {
        let operand = self.vector(Shape::Histogram, depth).closed();
        let op = self.chance.pick(TRIMS);
        Text::loose(format!(
            "{operand} {op} {}",
            self.chance.pick(&["1", "2.5", "0", "-1", "+Inf", "0.0005"])
        ))
    }

    fn fill(&mut self) -> String {
        if !self.chance.percent(15) {
            return String::new();
        }
        self.chance
            .pick(&[
                " fill (0)",
                " fill_left (-1.5)",
                " fill_right (NaN)",
                " fill_left (1) fill_right (2)",
                " fill (1e30)",
            ])
            .to_owned()
    }
}

/// Whether operators around it do not change what it may be.
fn is_arithmetic(text: &Text) -> bool {
    text.whole || !text.text.contains(" bool ") && !text.text.starts_with("Inf")
}
