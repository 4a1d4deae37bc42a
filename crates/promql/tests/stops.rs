//! An evaluation that nobody wants any more ends where it computes, and not only where it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rutile_model::{ErrorKind, Labels};
use rutile_promql::{
    Engine, EngineOptions, Error, ParserOptions, Samples, Select, Selected, SelectedStream, Series,
    Source, SourceError,
};
use rutile_runtime::{CancellationToken, CpuPool};

/// Series that there are.
const SERIES: usize = 1000;

/// A source whose client goes away while the n-th series is decoded.
#[derive(Debug)]
struct Leaving {
    token: CancellationToken,
    after: usize,
    decoded: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Up {
    labels: Labels,
    token: CancellationToken,
    after: usize,
    decoded: Arc<AtomicUsize>,
}

#[async_trait]
impl Source for Leaving {
    async fn select(&self, _: &Select) -> Result<SelectedStream, SourceError> {
        let series = (0..SERIES).map(|number| {
            let up = Up {
                labels: Labels::from_iter([("__name__", "up"), ("n", &format!("{number:04}"))]),
                token: self.token.clone(),
                after: self.after,
                decoded: Arc::clone(&self.decoded),
            };
            Arc::new(up) as Arc<dyn Series>
        });
        let selected = Selected {
            series: series.collect(),
            ..Selected::default()
        };
        Ok(selected.into_stream())
    }
}

impl Series for Up {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clear();
        for minute in 0..60 {
            out.push_float(minute * 60_000, minute as f64);
        }
        if self.decoded.fetch_add(1, Ordering::Relaxed) + 1 == self.after {
            self.token.cancel();
        }
        Ok(())
    }
}

/// Asks until the client goes away; how it ended, and how many series were decoded.
async fn ask(query: &str, steps: i64, after: usize) -> (Result<(), Error>, usize) {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    };
    let token = CancellationToken::new();
    let engine = Engine::new(options, CpuPool::inline()).with_stop(token.clone());
    let decoded = Arc::new(AtomicUsize::new(0));
    let source: Arc<dyn Source> = Arc::new(Leaving {
        token,
        after,
        decoded: Arc::clone(&decoded),
    });
    let answer = match steps {
        1 => engine.instant(&source, query, 3_600_000).await,
        steps => {
            let times = (0, (steps - 1) * 1000);
            engine.range(&source, query, times, 1000).await
        }
    };
    (answer.map(drop), decoded.load(Ordering::Relaxed))
}

#[tokio::test]
async fn no_series_is_decoded_for_nobody() {
    for (query, steps) in [
        ("up", 1),
        ("up", 1000),
        ("up[1h]", 1),
        ("sum(up)", 100),
        ("topk(3, up)", 100),
        ("count_values(\"v\", up)", 100),
        ("rate(up[5m])", 100),
        ("stddev_over_time(up[5m])", 100),
        ("max_over_time(up[1h:1s])", 100),
        ("max_over_time(sum(rate(up[5m]))[1h:1s])", 100),
        ("up[1h:1s]", 1),
        ("up + on (n) up", 100),
        ("absent(up)", 100),
        ("sort(up)", 1),
    ] {
        for after in [1, 100] {
            let (result, decoded) = ask(query, steps, after).await;
            let error = result.expect_err(query);
            assert!(matches!(error, Error::Canceled), "{query}: {error}");
            assert_eq!(error.kind(), ErrorKind::Canceled);
            assert_eq!(decoded, after, "{query}");
        }
    }
}

/// The series of a subquery are all there when the last one was decoded: what is done with them is not.
#[tokio::test]
async fn nothing_is_made_of_a_subquery_for_nobody() {
    for query in [
        "max_over_time(up[1h:1s])",
        "sum(quantile_over_time(0.5, up[1h:1s]))",
        "up[1h:1s]",
        "up + on (n) up{a=\"\"}",
    ] {
        let (result, _) = ask(query, 1, SERIES).await;
        assert!(
            matches!(result, Err(Error::Canceled)),
            "{query}: {result:?}"
        );
    }
}
