//! Work is done by one process at a time, and goes over to another one when its holder stops.

use std::time::Duration;

use rutile_block::{GroupKey, LEASE_WINDOW_MS, LEASES_PREFIX, Work};
use rutile_lifecycle::{Claim, DEFAULT_LEASE, Lease, Leases};
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::fake::{Fault, Rule};
use rutile_objstore::{Bucket, Operation, PutMode};
use tokio::time::sleep;

use crate::world::{HOUR, World, id};

fn work(window: i64) -> Work {
    let key = GroupKey {
        resolution: 0,
        labels: Labels::default(),
    };
    Work::new(&key, window * LEASE_WINDOW_MS)
}

fn process(world: &World, number: u8) -> Leases {
    Leases::new(world.lifecycle.clone(), id(number), DEFAULT_LEASE)
}

/// Looks and claims at once.
async fn claim(leases: &Leases, work: &Work) -> Claim {
    let leased = leases.look().await.unwrap();
    leases.claim(work, &leased).await.unwrap()
}

async fn granted(leases: &Leases, work: &Work) -> Box<Lease> {
    match claim(leases, work).await {
        Claim::Granted(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn leases_left(world: &World) -> Vec<String> {
    let keys = world.memory.keys().into_iter();
    keys.filter(|key| key.starts_with(LEASES_PREFIX)).collect()
}

#[tokio::test(start_paused = true)]
async fn bc_14_work_has_one_holder() {
    let world = World::new();
    let (one, other) = (process(&world, 1), process(&world, 2));
    let lease = granted(&one, &work(0)).await;
    assert!(matches!(claim(&other, &work(0)).await, Claim::Held));
    let elsewhere = granted(&other, &work(1)).await;
    lease.release().await.unwrap();
    granted(&other, &work(0)).await.release().await.unwrap();
    elsewhere.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bc_14_of_many_that_claim_at_once_one_wins() {
    let world = World::new();
    let processes: Vec<Leases> = (1..=8).map(|number| process(&world, number)).collect();
    let claimed_work = work(0);
    let claims = processes.iter().map(|leases| claim(leases, &claimed_work));
    let claims = futures::future::join_all(claims).await;
    let winners = claims
        .iter()
        .filter(|claim| matches!(claim, Claim::Granted(_)));
    assert_eq!(winners.count(), 1, "{claims:?}");
}

#[tokio::test(start_paused = true)]
async fn bc_14_a_lease_that_is_kept_is_not_taken() {
    let world = World::new();
    let (one, other) = (process(&world, 1), process(&world, 2));
    let mut lease = granted(&one, &work(0)).await;
    let looks = async {
        for _ in 0..100 {
            assert!(matches!(claim(&other, &work(0)).await, Claim::Held));
            sleep(Duration::from_secs(7)).await;
        }
    };
    tokio::select! {
        () = lease.keep() => panic!("the lease is lost"),
        () = looks => {}
    }
    lease.release().await.unwrap();
    assert_eq!(leases_left(&world).len(), 1, "{:?}", leases_left(&world));
}

#[tokio::test(start_paused = true)]
async fn bc_14_what_a_dead_process_held_is_taken_after_a_lease() {
    let world = World::new();
    let (one, other) = (process(&world, 1), process(&world, 2));
    drop(granted(&one, &work(0)).await);
    assert!(matches!(claim(&other, &work(0)).await, Claim::Held));
    // Whatever the clocks on the wall show.
    world.clock.advance(1000 * HOUR);
    sleep(DEFAULT_LEASE - Duration::from_secs(1)).await;
    assert!(matches!(claim(&other, &work(0)).await, Claim::Held));
    sleep(Duration::from_secs(1)).await;
    granted(&other, &work(0)).await;
}

/// It counts from when it saw the lease first, not from when that was made: clocks are not compared.
#[tokio::test(start_paused = true)]
async fn bc_14_an_observer_that_is_new_waits_for_a_whole_lease() {
    let world = World::new();
    drop(granted(&process(&world, 1), &work(0)).await);
    sleep(Duration::from_secs(3600)).await;
    let other = process(&world, 2);
    assert!(matches!(claim(&other, &work(0)).await, Claim::Held));
    sleep(DEFAULT_LEASE).await;
    granted(&other, &work(0)).await;
}

/// S20: a holder stands still, and a successor works, ends, and cleans up behind it.
#[tokio::test(start_paused = true)]
async fn bc_14_s20_who_stood_still_learns_that_its_lease_is_lost() {
    for successors in 1..4 {
        let world = World::new();
        let (one, other) = (process(&world, 1), process(&world, 2));
        let mut lease = granted(&one, &work(0)).await;
        other.look().await.unwrap();
        sleep(DEFAULT_LEASE).await;
        let mut held = granted(&other, &work(0)).await;
        for _ in 0..successors {
            let kept = tokio::time::timeout(DEFAULT_LEASE / 3, held.keep()).await;
            assert!(kept.is_err(), "the successor lost it");
        }
        lease.keep().await;
        assert!(matches!(claim(&one, &work(0)).await, Claim::Held));
        let kept = tokio::time::timeout(DEFAULT_LEASE * 2, held.keep()).await;
        assert!(kept.is_err(), "the successor lost it");
    }
}

/// S21: only the observer's monotonic clock counts.
#[tokio::test(start_paused = true)]
async fn bc_14_s21_a_clock_that_jumps_takes_no_lease() {
    let world = World::new();
    let (one, other) = (process(&world, 1), process(&world, 2));
    let _lease = granted(&one, &work(0)).await;
    other.look().await.unwrap();
    for hours in [1000, -5000, 9000] {
        world.clock.advance(hours * HOUR);
        assert!(matches!(claim(&other, &work(0)).await, Claim::Held));
    }
}

/// What another one did between a look at the bucket and a claim is not done again.
#[tokio::test(start_paused = true)]
async fn bc_14_a_claim_by_an_old_look_is_outdated() {
    let world = World::new();
    let (one, other) = (process(&world, 1), process(&world, 2));
    let leased = other.look().await.unwrap();
    granted(&one, &work(0)).await.release().await.unwrap();
    let claim = other.claim(&work(0), &leased).await.unwrap();
    assert!(matches!(claim, Claim::Outdated), "{claim:?}");
    // So is one by a look that is too old to tell.
    let leased = other.look().await.unwrap();
    sleep(Duration::from_secs(3601)).await;
    let claim = other.claim(&work(0), &leased).await.unwrap();
    assert!(matches!(claim, Claim::Outdated), "{claim:?}");
    granted(&other, &work(0)).await;
}

#[tokio::test(start_paused = true)]
async fn bc_14_an_answer_that_is_lost_leaves_the_lease_with_who_asked() {
    let world = World::new();
    let one = process(&world, 1);
    // The request is sent again, and meets what it has made itself.
    world.bucket.add(
        Rule::new(Fault::FailAfter(ErrorKind::AlreadyExists))
            .on([Operation::Put])
            .times(1),
    );
    granted(&one, &work(0)).await;
}

#[tokio::test(start_paused = true)]
async fn bc_14_who_ends_leaves_what_it_held() {
    let world = World::new();
    let (one, other) = (process(&world, 1), process(&world, 2));
    drop(granted(&one, &work(0)).await);
    drop(granted(&one, &work(1)).await);
    one.release_all().await.unwrap();
    granted(&other, &work(0)).await;
    granted(&other, &work(1)).await;
}

#[tokio::test(start_paused = true)]
async fn bc_14_a_bucket_that_does_not_answer_ends_a_lease_in_time() {
    let world = World::new();
    let mut lease = granted(&process(&world, 1), &work(0)).await;
    world
        .bucket
        .add(Rule::new(Fault::FailBefore(ErrorKind::Unavailable)).on([Operation::Put]));
    let begun = tokio::time::Instant::now();
    lease.keep().await;
    assert!(begun.elapsed() <= DEFAULT_LEASE, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn bc_16_leases_are_forgotten() {
    let world = World::new();
    let one = process(&world, 1);
    granted(&one, &work(0)).await.release().await.unwrap();
    drop(granted(&one, &work(1)).await);
    let foreign = format!("{LEASES_PREFIX}somebody's");
    world
        .bucket
        .put(&foreign, "x".into(), PutMode::Overwrite)
        .await
        .unwrap();
    let probe = format!("{}/0123/created", rutile_objstore::probe::FOLDER);
    world
        .bucket
        .put(&probe, "x".into(), PutMode::Overwrite)
        .await
        .unwrap();
    assert_eq!(world.lifecycle.forget_leases().await.unwrap(), 0);
    world.clock.advance(2 * HOUR);
    sleep(Duration::from_secs(7200)).await;
    assert_eq!(world.lifecycle.forget_leases().await.unwrap(), 3);
    assert_eq!(leases_left(&world), [foreign]);
    assert_eq!(world.memory.body(&probe), None);
}
