//! The upload of Prometheus's blocks: one sync after the other, each with the labels of the moment.

use std::time::Duration;

use rutile_model::{ErrorKind, Labels};
use rutile_server::Failure;
use rutile_shipper::{Error, Shipper, Synced};
use tokio::sync::watch;

/// Between two syncs, as in Thanos.
const INTERVAL: Duration = Duration::from_secs(30);

/// Uploads again and again. Labels that change end the sync that is under way and begin a new one, so
/// that a block does not go up with labels that Prometheus has no more. Runs until it is dropped.
pub(crate) async fn run(mut shipper: Shipper, mut labels: watch::Receiver<Labels>) {
    loop {
        labels.mark_unchanged();
        tokio::select! {
            biased;
            changed = labels.changed() => {
                if changed.is_err() {
                    return;
                }
                tracing::info!("blocks go up with the new external labels from here on");
                continue;
            }
            synced = shipper.sync() => report(synced),
        }
        tokio::select! {
            _ = labels.changed() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

fn report(synced: Result<Synced, Error>) {
    match synced {
        Ok(synced) => {
            for error in &synced.corrupted {
                tracing::warn!(%error, "a local block is left out");
            }
            for error in &synced.failed {
                failed(error);
            }
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) {
    let advice = match error.kind() {
        ErrorKind::Denied => {
            "allow the credentials of --objstore.config to list, read and write the bucket"
        }
        ErrorKind::Unavailable => "it is tried again",
        _ => "it is tried again, and may need a look",
    };
    // With its causes, which tell what the bucket said.
    let error = Failure::new(error.kind(), error);
    tracing::warn!(%error, advice, "uploading blocks failed");
}
