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
/// Without partial response until the deadline. With it a store that is silent a tenth of the time
/// (at most 1 s) before the deadline is given up; one that has sent something since may be silent for
/// half of what is then left.
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
    deadline: Instant,
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
            let answer_time = (left / ANSWER_PART).min(ANSWER_TIME);
            Limit {
                give_up: if partial {
                    deadline - answer_time
                } else {
                    deadline
                },
                deadline,
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
            now + self.deadline.saturating_duration_since(now) / 2
        }
    }
}
