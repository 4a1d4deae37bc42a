//! The members behind one endpoint, asked in turn.
//!
//! An endpoint that is no group has one member. Of a group, a member that cannot be reached is passed
//! over until it answers again, and a call that it failed goes to another one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use parking_lot::RwLock;
use rutile_discovery::ClientConfig;
use rutile_model::ErrorKind;
use rutile_proto::thanos::info::InfoResponse;
use rutile_storeapi::{Error, RequestContext, Result, StoreApi, grpc::Client};
use tokio::time::sleep;

use super::connect;

/// How often a call is made before its failure counts, as in Thanos.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt if there is nobody else to ask; doubles from then on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Members of equal standing.
#[derive(Debug)]
pub(super) struct Group {
    members: RwLock<Vec<Arc<Member>>>,
    next: AtomicUsize,
    /// Whether a call may be made again: not where it would only meet the same process.
    retries: bool,
}

#[derive(Debug)]
struct Member {
    target: String,
    client: Client,
    is_down: AtomicBool,
}

impl Group {
    pub(super) fn new(targets: &[String], config: &ClientConfig, retries: bool) -> Self {
        let group = Self {
            members: RwLock::default(),
            next: AtomicUsize::new(0),
            retries,
        };
        group.replace(targets, config);
        group
    }

    /// Makes these the members; those that stay keep their connection.
    pub(super) fn replace(&self, targets: &[String], config: &ClientConfig) {
        let mut members = self.members.write();
        let unchanged = members.len() == targets.len()
            && members
                .iter()
                .zip(targets)
                .all(|(member, target)| member.target == *target);
        if unchanged {
            return;
        }
        let member = |target: &String| {
            let known = members.iter().find(|member| member.target == *target);
            known
                .cloned()
                .or_else(|| match Member::new(target, config) {
                    Ok(member) => Some(Arc::new(member)),
                    Err(error) => {
                        tracing::error!(%target, %error, "leaving out an address that is none");
                        None
                    }
                })
        };
        *members = targets.iter().filter_map(member).collect();
    }

    pub(super) fn retries(&self) -> bool {
        self.retries
    }

    /// Calls a member, and another one if it cannot be reached.
    ///
    /// # Errors
    /// That of the last attempt.
    pub(super) async fn call<T, F>(&self, call: impl Fn(Client) -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let member = self.pick()?;
            if attempt > 1 && member.is_down.load(Ordering::Relaxed) {
                sleep(pause).await;
                pause *= 2;
            }
            let result = call(member.client.clone()).await;
            let unreachable =
                matches!(&result, Err(error) if error.kind() == ErrorKind::Unavailable);
            member.is_down.store(unreachable, Ordering::Relaxed);
            if !unreachable || !self.retries || attempt == ATTEMPTS {
                return result;
            }
            attempt += 1;
        }
    }

    /// Asks all members for their Info, and passes over those that do not answer. Returns what the
    /// first of them says that does.
    ///
    /// # Errors
    /// That of the last member if none answers.
    pub(super) async fn check(&self, ctx: &RequestContext) -> Result<InfoResponse> {
        let members = self.members.read().clone();
        let answers = join_all(members.iter().map(async |member| {
            let answer = member.client.info(ctx.clone()).await;
            member.is_down.store(answer.is_err(), Ordering::Relaxed);
            answer
        }))
        .await;
        let better = |best: Result<InfoResponse>, answer| if best.is_ok() { best } else { answer };
        answers.into_iter().fold(Err(no_members()), better)
    }

    /// The next member in turn, one that can be reached if there is one.
    fn pick(&self) -> Result<Arc<Member>> {
        let members = self.members.read();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = |i: usize| members.get(turn.wrapping_add(i) % members.len().max(1));
        let mut candidates = (0..members.len()).filter_map(in_turn);
        let up = candidates.find(|member| !member.is_down.load(Ordering::Relaxed));
        up.or_else(|| in_turn(0)).cloned().ok_or_else(no_members)
    }
}

impl Member {
    fn new(target: &str, config: &ClientConfig) -> Result<Self> {
        let channel = connect::channel(target, config)?;
        Ok(Self {
            target: target.to_owned(),
            client: Client::new(channel, target, connect::compression(config)),
            is_down: AtomicBool::new(false),
        })
    }
}

fn no_members() -> Error {
    let message = "no address was found for the endpoint";
    Error::new(ErrorKind::Unavailable, message)
}
