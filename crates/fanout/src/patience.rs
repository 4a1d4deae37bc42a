//! How long to wait for one store.

use std::time::Duration;

use rutile_model::ErrorKind;
use rutile_storeapi::{Error, Result};
use tokio::time::{Instant, timeout_at};

/// A silent store is given up when this part of the time is left, so that there is time to answer
/// with what the others sent.
const ANSWER_PART: u32 = 10;
/// But no earlier than this before the deadline.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// How long to wait for one store, at a time and in all.
///
/// With partial response and a deadline, a store that is silent a tenth of the time (at most 1 s)
/// before the deadline is given up. One that has sent something since may be silent for half of what
/// is then left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Longest silence; `None` is any.
    response_timeout: Option<Duration>,
    /// When silent stores are given up, and the deadline.
    limit: Option<(Instant, Instant)>,
}

/// Why a wait has an end.
#[derive(Debug, Clone, Copy)]
enum End {
    Silence(Duration),
    Deadline,
}

impl Patience {
    pub(crate) fn new(
        response_timeout: Option<Duration>,
        deadline: Option<Instant>,
        partial: bool,
    ) -> Self {
        let limit = deadline.filter(|_| partial).map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            (deadline - (left / ANSWER_PART).min(ANSWER_TIME), deadline)
        });
        Self {
            response_timeout,
            limit,
        }
    }

    /// Waits for something of the store.
    ///
    /// # Errors
    /// What the store's future returns, or `Canceled` when it is given up.
    pub(crate) async fn wait<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let Some((until, end)) = self.end(Instant::now()) else {
            return answer.await;
        };
        match timeout_at(until, answer).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                ErrorKind::Canceled,
                match end {
                    End::Silence(longest) => format!("it sent nothing for {longest:?}"),
                    End::Deadline => {
                        "it was silent until shortly before the deadline of the request".to_owned()
                    }
                },
            )),
        }
    }

    fn end(&self, now: Instant) -> Option<(Instant, End)> {
        let silence = self
            .response_timeout
            .and_then(|longest| Some((now.checked_add(longest)?, End::Silence(longest))));
        let limit = self.limit.map(|(give_up, deadline)| {
            let half = now + deadline.saturating_duration_since(now) / 2;
            (give_up.max(half.min(deadline)), End::Deadline)
        });
        let limit = limit.map(|(until, end)| match self.limit {
            Some((give_up, _)) if now < give_up => (give_up, end),
            _ => (until, end),
        });
        match (silence, limit) {
            (Some(silence), Some(limit)) if limit.0 < silence.0 => Some(limit),
            (Some(silence), _) => Some(silence),
            (None, limit) => limit,
        }
    }
}
