use std::future::pending;
use std::sync::atomic::AtomicBool;

use super::*;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn results_and_panics_reach_who_asks() {
    let group = TaskGroup::new("group");
    assert_eq!(group.spawn("fine", async { 7 }).await, Ok(7));
    let broken = group.spawn("broken", async { panic!("on purpose {}", 1) });
    let error: Result<(), TaskError> = broken.await;
    assert_eq!(error, Err(TaskError::Panicked("on purpose 1".to_owned())));
    assert_eq!(group.panics(), 1);
    assert_eq!(group.shutdown(LONG).await, ShutdownReport::default());
    assert_eq!(group.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_cancels_waits_and_aborts() {
    let group = TaskGroup::new("group");
    let token = group.token();
    let polite = group.spawn("polite", async move {
        token.cancelled().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        "done"
    });
    let child = group.child("child");
    let stubborn = child.spawn("stubborn", pending::<()>());
    assert_eq!((group.live(), child.live()), (2, 1));
    let report = group.shutdown(Duration::from_secs(10)).await;
    assert_eq!(report.aborted, ["child/stubborn"]);
    assert_eq!(polite.await, Ok("done"));
    assert_eq!(stubborn.await, Err(TaskError::Aborted));
    assert_eq!((group.live(), child.live()), (0, 0));
    assert_eq!(child.spawn("late", async {}).await, Err(TaskError::Aborted));
    assert_eq!(
        group.child("late").spawn("late", async {}).await,
        Err(TaskError::Aborted)
    );
}

#[tokio::test]
async fn dropping_the_group_aborts() {
    let dropped = Arc::new(AtomicBool::new(false));
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let group = TaskGroup::new("group");
    let flag = Flag(Arc::clone(&dropped));
    let child = group.child("child");
    let task = child.spawner().spawn("endless", async move {
        let _flag = flag;
        pending::<()>().await;
    });
    drop(group);
    assert_eq!(task.await, Err(TaskError::Aborted));
    assert!(dropped.load(Ordering::SeqCst));
    assert!(child.token().is_cancelled());
}

#[tokio::test]
async fn a_child_ends_before_its_parent_and_leaves_its_books() {
    let group = TaskGroup::new("group");
    for _ in 0..100 {
        let child = group.child("child");
        let token = child.token();
        let task = child.spawn("task", async move { token.cancelled().await });
        assert_eq!(child.shutdown(LONG).await, ShutdownReport::default());
        assert_eq!(task.await, Ok(()));
    }
    assert_eq!(group.live(), 0);
    let state = group.spawner.inner.state.lock();
    assert!(state.tasks.is_empty() && state.children.is_empty());
    assert!(!group.spawner.inner.token.is_cancelled());
}

#[tokio::test]
async fn panics_of_a_child_count_in_its_parent() {
    let group = TaskGroup::new("group");
    let child = group.child("child");
    let result: Result<(), _> = child.spawn("broken", async { panic!("x") }).await;
    result.unwrap_err();
    assert_eq!((group.panics(), child.panics()), (1, 1));
}

#[tokio::test]
async fn dropping_a_result_aborts_only_when_asked() {
    let group = TaskGroup::new("group");
    let (sender, receiver) = oneshot::channel();
    drop(group.spawn("goes on", async move { sender.send(1) }));
    assert_eq!(receiver.await, Ok(1));
    let (sender, receiver) = oneshot::channel::<()>();
    let request = group.spawn("ends with its request", async move {
        let _sender = sender;
        pending::<()>().await;
    });
    drop(request.abort_on_drop());
    receiver.await.unwrap_err();
}
