//! Random queries that are well formed and typed, and fit the series of `data`.

mod binary;
mod call;
mod select;

use rutile_promql::AggregateOp;

use crate::chance::Chance;

/// What the samples of a vector should be for a query to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Any,
    Float,
    Histogram,
    /// Classic histograms.
    Buckets,
}

/// A part of a query.
#[derive(Debug, Clone)]
struct Text {
    text: String,
    /// Whether it needs no parentheses, whatever stands around it.
    whole: bool,
}

impl Text {
    fn whole(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, whole: true }
    }

    fn loose(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, whole: false }
    }

    /// Something that operators and brackets may follow.
    fn closed(self) -> String {
        if self.whole {
            self.text
        } else {
            format!("({})", self.text)
        }
    }
}

/// Makes queries by chance.
#[derive(Debug)]
pub(crate) struct Generator {
    chance: Chance,
    /// Whether there may be what depends on the start, end and step of the whole query.
    of_query: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64, of_query: bool) -> Self {
        let chance = Chance::new(seed);
        Self { chance, of_query }
    }

    /// A query that may be evaluated over a range.
    pub(crate) fn ranged(&mut self) -> String {
        let depth = self.chance.below(4);
        if self.chance.percent(6) {
            self.scalar(depth).text
        } else {
            self.vector(Shape::Any, depth).text
        }
    }

    /// A query of any type.
    pub(crate) fn any(&mut self) -> String {
        match self.chance.below(50) {
            0 => self.string(),
            1 | 2 => self.matrix(Shape::Any, 2, &[]),
            _ => self.ranged(),
        }
    }

    fn string(&mut self) -> String {
        let texts = [
            "\"text\"",
            "'it''s'",
            "`raw`",
            "\"\\u00e9\\n\"",
            "'$1'",
            "\"\\xff\"",
        ];
        match self.chance.pick(&texts) {
            "'it''s'" => "'it\\'s'".to_owned(),
            text => text.to_owned(),
        }
    }

    fn number(&mut self) -> String {
        match self.chance.below(12) {
            0 => self
                .chance
                .pick(&[
                    "NaN", "Inf", "-Inf", "1e300", "1e-300", "0x1F", "1_000", ".5",
                ])
                .to_owned(),
            1 => self
                .chance
                .pick(&["5m", "1h30m", "90s", "100ms"])
                .to_owned(),
            2..=5 => self.chance.pick(&["0", "1", "2", "-1", "10"]).to_owned(),
            6..=8 => self
                .chance
                .pick(&["0.5", "0.9", "0.25", "0.99", "0.01"])
                .to_owned(),
            _ => format!("{}", (self.chance.unit() * 200.0 - 50.0).round() / 4.0),
        }
    }

    fn scalar(&mut self, depth: usize) -> Text {
        if depth == 0 {
            return match self.chance.below(10) {
                0 => Text::whole("time()"),
                1 => Text::whole("pi()"),
                2 if self.of_query => {
                    Text::whole(self.chance.pick(&["start()", "end()", "step()", "range()"]))
                }
                _ => {
                    let number = self.number();
                    // A sign binds less than a power, and a number with one is still a literal; infinity
                    // is printed with one.
                    Text {
                        whole: !number.starts_with('-') && number != "Inf",
                        text: number,
                    }
                }
            };
        }
        let depth = depth - 1;
        match self.chance.below(9) {
            0 | 1 => Text::whole(format!("scalar({})", self.vector(Shape::Float, depth).text)),
            2 => {
                let function = self.chance.pick(&["max_of", "min_of"]);
                Text::whole(format!(
                    "{function}({}, {})",
                    self.scalar(depth).text,
                    self.scalar(depth).text
                ))
            }
            3 => self.signed(|generator| generator.scalar(depth)),
            4 => Text::whole(format!("({})", self.scalar(depth).text)),
            5 => self.scalar_comparison(depth),
            _ => self.scalar_arithmetic(depth),
        }
    }

    fn signed(&mut self, operand: impl FnOnce(&mut Self) -> Text) -> Text {
        let sign = self.chance.pick(&["-", "-", "+"]);
        let operand = operand(self).closed();
        Text::loose(format!("{sign}{operand}"))
    }

    fn vector(&mut self, shape: Shape, depth: usize) -> Text {
        if depth == 0 {
            return if self.chance.percent(2) {
                Text::whole(format!("vector({})", self.scalar(0).text))
            } else {
                self.instant(shape)
            };
        }
        let depth = depth - 1;
        match self.chance.below(20) {
            0 => self.instant(shape),
            1 => self.signed(|generator| generator.vector(shape, depth)),
            2 => Text::whole(format!("({})", self.vector(shape, depth).text)),
            3..=10 => Text::whole(self.call(shape, depth)),
            11..=14 => Text::whole(self.aggregate(shape, depth)),
            _ => self.binary(shape, depth),
        }
    }

    fn aggregate(&mut self, shape: Shape, depth: usize) -> String {
        let op = self.chance.pick(&AggregateOp::ALL);
        let shape = match op {
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Quantile
            | AggregateOp::Min
            | AggregateOp::Max
            | AggregateOp::Stddev
            | AggregateOp::Stdvar
                if shape == Shape::Any =>
            {
                Shape::Float
            }
            _ => shape,
        };
        let param = match op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                self.param(&["1", "2", "3", "5", "0"])
            }
            AggregateOp::LimitRatio => self.param(&["0.5", "-0.5", "0.2", "1", "-0.9"]),
            AggregateOp::Quantile => self.param(&["0.5", "0.9", "0", "1", "-1", "2"]),
            AggregateOp::CountValues => {
                format!("{}, ", self.chance.pick(&["\"value\"", "'job'", "\"a.b\""]))
            }
            _ => String::new(),
        };
        let operand = self.vector(shape, depth).text;
        let mut grouping = match self.chance.below(5) {
            0 => String::new(),
            1 => format!("without ({})", self.names()),
            _ => format!("by ({})", self.names()),
        };
        if shape == Shape::Buckets {
            grouping = self
                .chance
                .pick(&["by (le)", "by (le, job)", "without (instance)"])
                .to_owned();
        }
        if self.chance.percent(50) {
            format!("{op} {grouping} ({param}{operand})")
        } else {
            format!("{op}({param}{operand}) {grouping}")
        }
    }

    fn param(&mut self, usual: &[&str]) -> String {
        if self.chance.percent(80) {
            return format!("{}, ", self.chance.pick(usual));
        }
        format!("{}, ", self.scalar(1).text)
    }

    /// Names of labels, as in `by`.
    fn names(&mut self) -> String {
        self.chance
            .pick(&[
                "job",
                "job",
                "instance",
                "job, instance",
                "code",
                "le",
                "version",
                "",
                "missing",
                "\"service.name\"",
                "job, __name__",
                "instance, code,",
            ])
            .to_owned()
    }
}
