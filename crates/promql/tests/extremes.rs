//! Queries about times and lengths at the ends of what can be written: refused or empty, never a panic.

use std::sync::Arc;

use async_trait::async_trait;
use rutile_model::{Labels, Matcher};
use rutile_promql::{
    Engine, EngineOptions, ParserOptions, Samples, Select, Selected, SelectedStream, Series,
    Source, SourceError,
};
use rutile_runtime::CpuPool;

/// One series, with samples at the ends of time.
#[derive(Debug)]
struct Ends;

const TIMES: [i64; 5] = [i64::MIN, -1, 0, 60_000, i64::MAX];

#[async_trait]
impl Source for Ends {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        let is_name = |matcher: &Matcher| matcher.name() != "__name__" || matcher.matches("up");
        assert!(select.matchers.iter().all(is_name));
        let selected = Selected {
            series: vec![Arc::new(Up(Labels::from_iter([("__name__", "up")])))],
            warnings: Vec::new(),
        };
        Ok(selected.into_stream())
    }
}

#[derive(Debug)]
struct Up(Labels);

impl Series for Up {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clear();
        for time in TIMES {
            out.push_float(time, 1.0);
        }
        Ok(())
    }
}

#[tokio::test]
async fn never_panics() {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        max_samples: 10_000,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let source: Arc<dyn Source> = Arc::new(Ends);
    let times = [
        "0",
        "9223372036854775",
        "-9223372036854775",
        "9e15",
        "-9e15",
        "1e300",
    ];
    let lengths = ["1ms", "292y", "1y1ms"];
    let mut queries = vec!["up".to_owned(), "vector(1)[292y:1ms]".to_owned()];
    for time in times {
        for length in lengths {
            for sign in ["", "-"] {
                let modifiers = format!("@ {time} offset {sign}{length}");
                queries.push(format!("up {modifiers}"));
                queries.push(format!("up smoothed {modifiers}"));
                queries.push(format!("timestamp(up {modifiers})"));
                queries.push(format!("up[{length}] {modifiers}"));
                for extension in ["", "anchored", "smoothed"] {
                    queries.push(format!("rate(up[{length}] {extension} {modifiers})"));
                }
                queries.push(format!("sum_over_time(up[{length}:{length}] {modifiers})"));
                queries.push(format!("sum_over_time(up[{length}:] {modifiers})"));
            }
        }
    }
    let mut answers = 0;
    for query in &queries {
        for time in [0, 60_000, i64::MAX / 4, -i64::MAX / 4, i64::MAX, i64::MIN] {
            answers += usize::from(engine.instant(&source, query, time).await.is_ok());
            for step in [1, 7, 1 << 60, i64::MAX] {
                for end in [time, time.saturating_add(100), i64::MAX / 4, i64::MAX] {
                    let range = engine.range(&source, query, (time, end), step).await;
                    answers += usize::from(range.is_ok());
                }
            }
        }
    }
    assert!(answers > 1000, "{answers}");
}
