//! Selectors of series, ranges of them, and subqueries.

use super::{Generator, Shape, Text};

const FLOATS: &[&str] = &[
    "requests_total",
    "requests_total",
    "temperature",
    "temperature",
    "constant",
    "latency_sum",
    "http.server.duration",
    "typed",
];
const HISTOGRAMS: &[&str] = &["size", "size", "custom", "mixed"];
const ANY: &[&str] = &[
    "requests_total",
    "temperature",
    "constant",
    "latency_count",
    "http.server.duration",
    "typed",
    "size",
    "custom",
    "mixed",
    "target_info",
];

impl Generator {
    /// An instant selector with modifiers.
    pub(super) fn instant(&mut self, shape: Shape) -> Text {
        let series = self.series(shape);
        let extension = if self.chance.percent(3) {
            " smoothed"
        } else {
            ""
        };
        let modifiers = self.modifiers();
        // An offset that is computed takes in the operators that follow.
        let whole = !modifiers.contains('(');
        let text = format!("{series}{extension}{modifiers}");
        Text { text, whole }
    }

    /// A range selector or a subquery. `extensions` are those that what is around it takes.
    pub(super) fn matrix(&mut self, shape: Shape, depth: usize, extensions: &[&str]) -> String {
        if depth > 0 && self.chance.percent(25) {
            let operand = self.vector(shape, depth - 1).closed();
            let range = self.length();
            let step = if self.chance.percent(40) {
                String::new()
            } else {
                self.step()
            };
            return format!("{operand}[{range}:{step}]{}", self.modifiers());
        }
        let series = self.series(shape);
        let extension = match extensions {
            [_, ..] if self.chance.percent(25) => format!(" {}", self.chance.pick(extensions)),
            _ => String::new(),
        };
        format!("{series}[{}]{extension}{}", self.length(), self.modifiers())
    }

    /// Names and matchers.
    pub(super) fn series(&mut self, shape: Shape) -> String {
        let name = match shape {
            Shape::Any => self.chance.pick(ANY),
            Shape::Float => self.chance.pick(FLOATS),
            Shape::Histogram => self.chance.pick(HISTOGRAMS),
            Shape::Buckets => "latency_bucket",
        };
        let mut matchers = Vec::new();
        while self.chance.percent(25) {
            matchers.push(self.matcher());
        }
        let form = if name.contains('.') {
            1
        } else {
            self.chance.below(12)
        };
        match form {
            1 => matchers.insert(0, format!("\"{name}\"")),
            2 => matchers.push(format!("__name__=\"{name}\"")),
            3 => matchers.insert(0, format!("__name__=~\"{name}|none\"")),
            _ if matchers.is_empty() => return name.to_owned(),
            _ => return format!("{name}{{{}}}", matchers.join(",")),
        }
        format!("{{{}}}", matchers.join(", "))
    }

    fn matcher(&mut self) -> String {
        self.chance
            .pick(&[
                "job=\"a\"",
                "job!=\"z\"",
                "job=~\"a|b\"",
                "job!~\"c.*\"",
                "instance=~\"i[01]|\"",
                "missing=\"\"",
                "missing=~\"\"",
                "job=~'.+'",
                "instance!=\"i1\"",
                "instance=~`i0|`",
                "\"service.name\"=~\".*\"",
                "\"service.name\"!~`é+`",
                "code!~\"4..\"",
                "job=~\"(?i)A|B\"",
            ])
            .to_owned()
    }

    /// `@` and `offset`, in any order.
    fn modifiers(&mut self) -> String {
        let offset = if self.chance.percent(12) {
            format!(" offset {}", self.offset())
        } else {
            String::new()
        };
        let at = if !self.chance.percent(10) {
            String::new()
        } else if self.of_query && self.chance.percent(50) {
            self.chance.pick(&[" @ start()", " @ end()"]).to_owned()
        } else {
            format!(
                " @ {}",
                self.chance
                    .pick(&["1200", "1800.5", "900", "2400", "1e3", "-60"])
            )
        };
        if self.chance.percent(50) {
            format!("{at}{offset}")
        } else {
            format!("{offset}{at}")
        }
    }

    fn offset(&mut self) -> String {
        match self.chance.below(5) {
            0 => format!("-{}", self.chance.pick(&["1m", "5m", "90s"])),
            1 => self
                .chance
                .pick(&["(1m * 2)", "-(30s + 1m)", "min_of(1m, 3m)", "(2m ^ 1)"])
                .to_owned(),
            2 if self.of_query => self
                .chance
                .pick(&["step()", "(range() / 10)", "-max_of(step(), 1m)"])
                .to_owned(),
            _ => self
                .chance
                .pick(&["1m", "5m", "90s", "2m30s", "1ms"])
                .to_owned(),
        }
    }

    /// The length of a range.
    fn length(&mut self) -> String {
        match self.chance.below(8) {
            0 => self
                .chance
                .pick(&[
                    "2m * 3",
                    "(2m + 3m)",
                    "max_of(1m, 4m)",
                    "10m - 90s",
                    "2 ^ 9",
                    "600 % 7m",
                    "1h / 6",
                ])
                .to_owned(),
            1 if self.of_query => self
                .chance
                .pick(&["step() + 5m", "min_of(range() + 3m, 20m)"])
                .to_owned(),
            _ => self
                .chance
                .pick(&[
                    "5m", "10m", "5m", "3m", "15m", "1m", "2m30s", "301s", "20m", "300000ms",
                ])
                .to_owned(),
        }
    }

    /// The step of a subquery.
    fn step(&mut self) -> String {
        match self.chance.below(8) {
            0 => self.chance.pick(&["30s * 2", "min_of(1m, 2m)"]).to_owned(),
            1 if self.of_query => "step() + 1m".to_owned(),
            _ => self
                .chance
                .pick(&["1m", "2m", "45s", "61s", "150s"])
                .to_owned(),
        }
    }
}
