//! Processes that end at random.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use super::{LOOK_EVERY, Runner};
use crate::suite::Havoc;

impl Runner {
    /// Kills and starts, until the steps are done and enough were killed.
    pub(super) async fn havoc(&self, havoc: &Havoc) -> Result<()> {
        let (kills, over) = (Cell::new(0), Cell::new(false));
        let killed = async {
            while !over.get() {
                let service = [self.choose(&havoc.services)?];
                // One that has just ended by itself cannot be killed, and is started all the same.
                self.cluster
                    .end(&["kill", "-s", "SIGKILL"], &service)
                    .await?;
                kills.set(kills.get() + 1);
                self.cluster
                    .run(&["up", "-d", "--no-deps"], &service)
                    .await?;
                let seconds = rand::random_range(0.0..havoc.every);
                sleep(Duration::from_secs_f64(seconds)).await;
            }
            Ok(())
        };
        let steps = async {
            let outcome = self.steps(&havoc.steps).await;
            while outcome.is_ok() && kills.get() < havoc.kills {
                sleep(LOOK_EVERY).await;
            }
            over.set(true);
            outcome
        };
        let (killed, done) = futures::join!(killed, steps);
        println!("  {} processes were killed", kills.get());
        killed.and(done)?;
        self.up(&havoc.services).await
    }

    fn choose(&self, services: &[String]) -> Result<String> {
        ensure!(!services.is_empty(), "havoc needs services");
        let at = rand::random_range(0..services.len());
        services.get(at).cloned().context("a service")
    }
}
