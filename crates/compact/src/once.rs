//! Parts of an iteration for whoever wants no more than these: the command line tools.

use std::collections::BTreeSet;

use crate::group::Groups;
use crate::{Compactor, Error, Report};

impl Compactor {
    /// Marks what another block replaces, deletes what was marked long enough ago, and removes what
    /// uploads left behind. Neither merges nor applies retention.
    pub async fn clean_up_once(&self) -> Report {
        let mut report = Report::default();
        match self.look().await {
            Ok((view, selection)) => {
                self.collect_garbage(&view, &selection, &mut report).await;
                self.sweep(&view, &selection, &mut report).await;
            }
            Err(error) => report.errors.push(error),
        }
        report
    }

    /// Downsamples all that is due, and what becomes due by that. Neither merges nor marks.
    pub async fn downsample_once(&self) -> Report {
        let (mut report, mut failed) = (Report::default(), BTreeSet::new());
        loop {
            let (view, selection) = match self.look().await {
                Ok(looked) => looked,
                Err(error) => {
                    report.errors.push(error);
                    return report;
                }
            };
            if !view.complete {
                report
                    .errors
                    .push(Error::Incomplete(selection.unread.len()));
                return report;
            }
            let more = self.downsample(&view, &selection, &mut failed, &mut report);
            if !more.await {
                return report;
            }
        }
    }

    /// Marks what has outlived its retention. Blocks of a group that has merges to do, or that could
    /// not be read, stay if something is still to be downsampled from them (BC-12).
    pub async fn retain_once(&self) -> Report {
        let mut report = Report::default();
        let (view, selection) = match self.look().await {
            Ok(looked) => looked,
            Err(error) => {
                report.errors.push(error);
                return report;
            }
        };
        let Groups { groups, unplaced } = Groups::of(&view, &selection, self.planner.is_vertical());
        let unsettled: BTreeSet<_> = groups
            .into_iter()
            .filter(|group| {
                !unplaced.is_empty() || group.unread || !self.planner.plan(group).merge.is_empty()
            })
            .map(|group| group.key)
            .collect();
        self.retain(&view, &selection, &unsettled, &mut report)
            .await;
        report
    }
}
