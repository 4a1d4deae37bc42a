//! Parts of an iteration for whoever wants no more than these: the command line tools.

use std::collections::BTreeSet;

use crate::compactor::{Left, Look};
use crate::group::Groups;
use crate::{Compactor, Error, Report};

impl Compactor {
    /// Marks what another block replaces, deletes what was marked long enough ago, and removes what
    /// uploads left behind. Neither merges nor applies retention.
    pub async fn clean_up_once(&self) -> Report {
        let mut report = Report::default();
        match self.look().await {
            Ok(Look {
                view, selection, ..
            }) => {
                self.collect_garbage(&view, &selection, &mut report).await;
                self.sweep(&view, &selection, &mut report).await;
            }
            Err(error) => report.errors.push(error),
        }
        report
    }

    /// Downsamples all that is due, and what becomes due by that. Neither merges nor marks.
    pub async fn downsample_once(&self) -> Report {
        let (mut report, mut left) = (Report::default(), Left::default());
        loop {
            let look = match self.look().await {
                Ok(look) => look,
                Err(error) => {
                    report.errors.push(error);
                    return report;
                }
            };
            if !look.view.complete {
                let unread = look.selection.unread.len();
                report.errors.push(Error::Incomplete(unread));
                return report;
            }
            left.held.clear();
            if !self.downsample(&look, &mut left, &mut report).await {
                report.held = left.held.len();
                return report;
            }
        }
    }

    /// Marks what has outlived its retention. Blocks of a group that has merges to do, or that could
    /// not be read, stay if something is still to be downsampled from them (BC-12).
    pub async fn retain_once(&self) -> Report {
        let mut report = Report::default();
        let Look {
            view, selection, ..
        } = match self.look().await {
            Ok(look) => look,
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
