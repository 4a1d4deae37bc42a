//! Queries that are asked over and over.

use std::cell::Cell;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::{LOOK_EVERY, Runner, difference};
use crate::probe::Answer;
use crate::suite::Watch;

impl Runner {
    /// Asks all the while, and compares each answer with the first one.
    pub(super) async fn watch(&self, watch: &Watch) -> Result<()> {
        let mut first = Vec::new();
        for query in &watch.queries {
            let answer = self.ask(query).await?;
            self.check(&query.expect, &answer)?;
            ensure!(
                answer.series() > 0,
                "there is nothing to watch in {:?}",
                query.ask
            );
            first.push(answer);
        }
        let (answers, passed_over) = (Cell::new(0), Cell::new(0));
        let asked = async {
            loop {
                for (query, first) in watch.queries.iter().zip(&first) {
                    let asked = self.ask(query).await;
                    if watch.tolerant && !asked.as_ref().is_ok_and(Answer::is_whole) {
                        passed_over.set(passed_over.get() + 1);
                        sleep(LOOK_EVERY).await;
                        continue;
                    }
                    let answer = asked?;
                    self.check(&query.expect, &answer)?;
                    let message = || difference(&first.result, &answer.result);
                    ensure!(
                        first.result == answer.result,
                        "answer {}: {}",
                        answers.get(),
                        message()
                    );
                    answers.set(answers.get() + 1);
                }
            }
        };
        let steps = async {
            self.steps(&watch.steps).await?;
            while answers.get() < watch.answers {
                sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        tokio::select! {
            failed = asked => failed,
            done = steps => {
                println!("  {} answers were all equal, {} passed over", answers.get(), passed_over.get());
                done
            }
        }
    }
}
