//! One request for many who ask for the same at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::timed::Value;

/// The requests under way, by cache key.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<BTreeMap<Box<str>, watch::Receiver<Option<Value>>>>,
}

/// What to do about a key.
#[derive(Debug)]
pub(super) enum Turn {
    /// Ask, then [`Leader::land`].
    Lead(Leader),
    /// Somebody asks already.
    Follow(Follower),
}

/// Who asks. Dropped without landing (error, cancellation), the followers are on their own.
#[derive(Debug)]
pub(super) struct Leader {
    flights: Arc<Flights>,
    key: Box<str>,
    answer: watch::Sender<Option<Value>>,
}

#[derive(Debug)]
pub(super) struct Follower(watch::Receiver<Option<Value>>);

impl Flights {
    pub(super) fn join(self: &Arc<Self>, key: &str) -> Turn {
        let mut under_way = self.under_way.lock();
        if let Some(answer) = under_way.get(key) {
            return Turn::Follow(Follower(answer.clone()));
        }
        let (answer, receiver) = watch::channel(None);
        under_way.insert(key.into(), receiver);
        Turn::Lead(Leader {
            flights: Arc::clone(self),
            key: key.into(),
            answer,
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.under_way.lock().len()
    }
}

impl Leader {
    /// Answers all followers.
    pub(super) fn land(self, value: Value) {
        self.answer.send_replace(Some(value));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.flights.under_way.lock().remove(&self.key);
    }
}

impl Follower {
    /// The answer, or none if the leader gave up.
    pub(super) async fn wait(mut self) -> Option<Value> {
        let answer = self.0.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }
}
