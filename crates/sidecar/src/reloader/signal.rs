//! Reloads by SIGHUP: finds the process, tells it, and waits until it says how it went.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rutile_promclient::Client;
use tokio::time::Instant;

/// What Linux keeps of a process's name, bytes.
const NAME_BYTES: usize = 15;
/// How long a reload may take, and how often is asked.
const RELOAD_WITHIN: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Prometheus tells the second of its last reload: one in the same second as that before does not show, so
/// it is told again.
const SIGNAL_EVERY: Duration = Duration::from_secs(2);

/// Tells the process called `name`; returns when the Prometheus at `client` has reloaded.
pub(super) async fn reload(name: &str, client: &Client) -> Result<(), String> {
    let told = |error: rutile_promclient::Error| error.to_string();
    let before = client.runtime_info().await.map_err(told)?;
    let process = one(name, &find(name)?)?;
    let deadline = Instant::now() + RELOAD_WITHIN;
    let mut next_signal = Instant::now();
    loop {
        if Instant::now() >= next_signal {
            let sent = kill_process(process, Signal::HUP);
            sent.map_err(|error| format!("cannot send SIGHUP to the process {name:?}: {error}"))?;
            next_signal += SIGNAL_EVERY;
        }
        let now = client.runtime_info().await.map_err(told)?;
        if now.reload_config_success && now.last_config_time != before.last_config_time {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(not_reloaded(now.reload_config_success, client));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn not_reloaded(last_succeeded: bool, client: &Client) -> String {
    let what = match last_succeeded {
        true => "did not reload",
        false => "refused its configuration (its log tells why)",
    };
    let (address, seconds) = (client.address(), RELOAD_WITHIN.as_secs());
    format!("Prometheus at {address} {what} within {seconds} s after SIGHUP")
}

/// The processes with this name, as far as they can be seen.
fn find(name: &str) -> Result<Vec<Pid>, String> {
    let entries =
        fs::read_dir("/proc").map_err(|error| format!("cannot list processes: {error}"))?;
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found = Vec::new();
    for id in ids {
        // A process may end meanwhile.
        let Ok(running) = fs::read_to_string(format!("/proc/{id}/comm")) else {
            continue;
        };
        let kept = name.get(..NAME_BYTES).unwrap_or(name);
        if running.trim_end() == kept {
            found.extend(Pid::from_raw(id));
        }
    }
    Ok(found)
}

fn one(name: &str, found: &[Pid]) -> Result<Pid, String> {
    match found {
        [process] => Ok(*process),
        [] => Err(format!(
            "there is no process {name:?} (--reloader.process-name): the sidecar must share the process \
             namespace of Prometheus"
        )),
        several => Err(format!(
            "there are {} processes {name:?} (--reloader.process-name): use --reloader.method=http",
            several.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_found_by_name() {
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let id = Pid::from_raw(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(find(own.trim_end()).unwrap().contains(&id));
        let error = one("x", &find("no such process").unwrap()).unwrap_err();
        assert!(error.contains("--reloader.process-name"), "{error}");
        let error = one("x", &[id, id]).unwrap_err();
        assert!(error.contains("2 processes"), "{error}");
    }
}
