//! How long to wait for one store.

use std::{fmt, time::Duration};

use rutile_model::ErrorKind;
use rutile_storeapi::{Error, Result};
use tokio::time::{Instant, timeout_at};

/// This part of the time is kept back from stores, so that there is time to answer with what came.
const ANSWER_PART: u32 = 10;
/// But no more than this.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// How long to wait for one store, at a time and in all.
///
/// Without partial response until the deadline. With it a tenth of the time, at most 1 s, is kept
/// back: a store that is silent when it begins is given up; one that still sends may do so for half of
/// it, and be silent meanwhile for half of what is then left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Longest silence; `None` is any.
    response_timeout: Option<Duration>,
    limit: Option<Limit>,
}

/// What the deadline of the request means for a store.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// From when on a silent store is given up.
    give_up: Instant,
    /// From when on every store is.
    end: Instant,
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
        let limit = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            let kept_back = (left / ANSWER_PART).min(ANSWER_TIME);
            let kept_back = if partial { kept_back } else { Duration::ZERO };
            Limit {
                give_up: deadline - kept_back,
                end: deadline - kept_back / 2,
            }
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
        let now = Instant::now();
        let Some((until, end)) = self.end(now) else {
            return answer.await;
        };
        let given_up = || Error::new(ErrorKind::Canceled, end.to_string());
        // What is there already is not taken any more when the time is over.
        if until <= now {
            return Err(given_up());
        }
        timeout_at(until, answer)
            .await
            .unwrap_or_else(|_| Err(given_up()))
    }

    fn end(&self, now: Instant) -> Option<(Instant, End)> {
        let silence = self.response_timeout.and_then(|longest| {
            let until = now.checked_add(longest)?;
            Some((until, End::Silence(longest)))
        });
        let limit = self.limit.map(|limit| (limit.until(now), End::Deadline));
        silence
            .into_iter()
            .chain(limit)
            .min_by_key(|(until, _)| *until)
    }
}

impl Limit {
    /// Until when to wait for something when the wait begins now.
    fn until(self, now: Instant) -> Instant {
        if now < self.give_up {
            self.give_up
        } else {
            now + self.end.saturating_duration_since(now) / 2
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(longest) => write!(f, "it sent nothing for {longest:?}"),
            Self::Deadline => f.write_str("it was not done shortly before the deadline"),
        }
    }
}
