//! Functions, each with arguments that suit it.

use rutile_promql::{Arity, FUNCTIONS, Function, FunctionId as Id, ValueType};

use super::{Generator, Shape};

impl Generator {
    /// A call of any function that yields a vector.
    pub(super) fn call(&mut self, shape: Shape, depth: usize) -> String {
        if shape == Shape::Buckets || shape == Shape::Histogram && self.chance.percent(70) {
            let name = self.chance.pick(&[
                "rate",
                "increase",
                "last_over_time",
                "sum_over_time",
                "avg_over_time",
            ]);
            return format!("{name}({})", self.matrix(shape, depth, &[]));
        }
        let function = loop {
            let function = &FUNCTIONS[self.chance.below(FUNCTIONS.len())];
            let is_rare = matches!(function.id, Id::Absent | Id::AbsentOverTime | Id::Vector);
            if function.returns == ValueType::Vector && (!is_rare || self.chance.percent(30)) {
                break function;
            }
        };
        let args = self.args(function, shape, depth);
        format!("{}({})", function.name, args.join(", "))
    }

    fn args(&mut self, function: &Function, shape: Shape, depth: usize) -> Vec<String> {
        match function.id {
            Id::HistogramQuantile => vec![self.quantile(), self.histogram(depth)],
            Id::HistogramFraction => {
                let bounds = self.chance.pick(&[
                    ("0", "1"),
                    ("-Inf", "0.7"),
                    ("0.2", "+Inf"),
                    ("2", "1"),
                    ("0.3", "3"),
                ]);
                vec![
                    bounds.0.to_owned(),
                    bounds.1.to_owned(),
                    self.histogram(depth),
                ]
            }
            Id::HistogramQuantiles => {
                let mut args = vec![self.histogram(depth), "\"quantile\"".to_owned()];
                args.extend((0..=self.chance.below(3)).map(|i| format!("0.{}", 9 - i)));
                args
            }
            Id::Info => self.info(depth),
            Id::LabelReplace | Id::LabelJoin | Id::SortByLabel | Id::SortByLabelDesc => {
                let mut args = vec![self.vector(shape, depth).text];
                args.extend(self.label_args(function.id));
                args
            }
            Id::QuantileOverTime => vec![self.quantile(), self.matrix(shape, depth, &[])],
            Id::DoubleExponentialSmoothing => {
                vec![
                    self.matrix(Shape::Float, depth, &[]),
                    "0.5".to_owned(),
                    self.fraction(),
                ]
            }
            _ => self.arguments(function, shape, depth),
        }
    }

    /// What functions of labels take behind their vector.
    fn label_args(&mut self, id: Id) -> Vec<String> {
        match id {
            Id::LabelReplace => {
                let texts = self.chance.pick(&[
                    ["new", "$1", "job", "(.*)"],
                    ["job", "x", "missing", ""],
                    ["a.b", "${n}-z", "instance", "i(?P<n>.)"],
                    ["instance", "$1", "code", "(5).*"],
                    ["__name__", "renamed_$0", "job", "[ab]"],
                ]);
                texts.map(|text| format!("\"{text}\"")).into()
            }
            Id::LabelJoin => {
                let from = self.chance.pick(&[
                    "'-'",
                    "'-', 'job'",
                    "'-', 'job', \"instance\"",
                    "'-', \"service.name\", 'x'",
                ]);
                vec![
                    self.chance.pick(&["'all'", "'job'"]).to_owned(),
                    from.to_owned(),
                ]
            }
            _ => {
                let names = self
                    .chance
                    .pick(&["'job'", "'instance', 'job'", "\"service.name\""]);
                vec![names.to_owned()]
            }
        }
    }

    /// Arguments by their types alone.
    fn arguments(&mut self, function: &Function, shape: Shape, depth: usize) -> Vec<String> {
        let least = function.args.len() - usize::from(function.arity != Arity::Fixed);
        // What optional arguments would be does not matter to functions of the time.
        let all = function.arity == Arity::Fixed || self.chance.percent(60);
        let args = if all {
            function.args
        } else {
            &function.args[..least]
        };
        let shape = match function.id {
            Id::HistogramAvg
            | Id::HistogramCount
            | Id::HistogramSum
            | Id::HistogramStddev
            | Id::HistogramStdvar => Shape::Histogram,
            Id::Rate
            | Id::Increase
            | Id::Irate
            | Id::Resets
            | Id::Changes
            | Id::Timestamp
            | Id::StartTimestamp => shape,
            _ if shape == Shape::Any && self.chance.percent(80) => Shape::Float,
            _ => shape,
        };
        let extensions: &[&str] = match function.id {
            Id::Rate | Id::Increase | Id::Delta => &["anchored", "smoothed"],
            Id::Resets | Id::Changes => &["anchored"],
            _ => &[],
        };
        let argument = |wanted: &ValueType| match wanted {
            ValueType::Scalar => self.scalar(usize::from(depth > 0)).text,
            ValueType::Vector => self.vector(shape, depth).text,
            ValueType::Matrix => self.matrix(shape, depth, extensions),
            ValueType::String => self.string(),
        };
        args.iter().map(argument).collect()
    }

    /// A vector that has histograms of one kind or the other.
    fn histogram(&mut self, depth: usize) -> String {
        let shape = self.chance.pick(&[Shape::Histogram, Shape::Buckets]);
        self.vector(shape, depth).text
    }

    fn quantile(&mut self) -> String {
        if self.chance.percent(10) {
            return self.scalar(1).text;
        }
        self.chance
            .pick(&["0.5", "0.9", "0.99", "0", "1", "-1", "1.5", "0.333"])
            .to_owned()
    }

    /// A number between 0 and 1, not one of them.
    fn fraction(&mut self) -> String {
        self.chance.pick(&["0.1", "0.5", "0.75"]).to_owned()
    }

    fn info(&mut self, depth: usize) -> Vec<String> {
        let mut args = vec![self.vector(Shape::Float, depth.min(1)).text];
        if self.chance.percent(60) {
            let labels = self.chance.pick(&[
                "{version=~\".+\"}",
                "{__name__=\"target_info\"}",
                "{__name__=~\"target_.*\", region=\"r\"}",
                "{version!=\"v0\"}",
                "{missing=\"\"}",
            ]);
            args.push(labels.to_owned());
        }
        args
    }
}
