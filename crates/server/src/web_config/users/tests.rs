use rutile_runtime::SystemEntropy;

use super::*;

fn users(pairs: &[(&str, &str)]) -> Users {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    let hashes = pairs
        .iter()
        .map(|(name, password)| ((*name).to_owned(), hash(password)));
    Users::new(hashes.collect()).unwrap()
}

fn header(text: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(text);
    HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
}

#[tokio::test]
async fn names_and_passwords_are_checked() {
    let logins = Logins::new(&SystemEntropy);
    let users = users(&[("alice", "a:b"), ("bob", "")]);
    let check = async |text: &str, expected: Verdict| {
        // Asked twice: as it is, and as it was kept.
        for _ in 0..2 {
            let verdict = logins.check(&users, Some(&header(text))).await;
            assert_eq!(verdict, expected, "{text}");
        }
    };
    check("alice:a:b", Verdict::LetIn).await;
    check("bob:", Verdict::LetIn).await;
    check("alice:a", Verdict::Unknown).await;
    check("Alice:a:b", Verdict::Unknown).await;
    check("bob:a:b", Verdict::Unknown).await;
    check("carol:", Verdict::Unknown).await;
    check("alice", Verdict::Unknown).await;
    assert_eq!(logins.check(&users, None).await, Verdict::Unknown);
    for text in ["Basic", "Basic !", "Bearer YTpi", "basic  ", ""] {
        let header = HeaderValue::from_static(text);
        let verdict = logins.check(&users, Some(&header)).await;
        assert_eq!(verdict, Verdict::Unknown, "{text}");
    }
    let nobody = Users::default();
    assert_eq!(logins.check(&nobody, None).await, Verdict::LetIn);
}

/// What is known costs no hash, and a hash that changed makes it unknown.
#[tokio::test]
async fn outcomes_are_kept_for_as_long_as_the_hash_is_the_same() {
    let logins = Logins::new(&SystemEntropy);
    let old = users(&[("alice", "old")]);
    let (good, bad) = (header("alice:old"), header("alice:bad"));
    assert_eq!(logins.check(&old, Some(&good)).await, Verdict::LetIn);
    assert_eq!(logins.check(&old, Some(&bad)).await, Verdict::Unknown);
    let new = users(&[("alice", "new")]);
    assert_eq!(logins.check(&new, Some(&good)).await, Verdict::Unknown);

    // Nobody can wait for a hash from here on.
    let places = u32::try_from(MAX_WAITING).unwrap();
    let _all = logins.waiting.try_acquire_many(places).unwrap();
    assert_eq!(logins.check(&old, Some(&good)).await, Verdict::LetIn);
    assert_eq!(logins.check(&old, Some(&bad)).await, Verdict::Unknown);
    let another = header("alice:other");
    assert_eq!(logins.check(&old, Some(&another)).await, Verdict::Busy);
}

/// Whoever tries passwords drives nobody out.
#[tokio::test]
async fn refusals_do_not_evict_who_was_let_in() {
    let logins = Logins::new(&SystemEntropy);
    let users = users(&[("alice", "a")]);
    let good = header("alice:a");
    assert_eq!(logins.check(&users, Some(&good)).await, Verdict::LetIn);
    for number in 0..10 * KEPT as u64 {
        logins
            .refused
            .insert(logins.digest(&[&number.to_le_bytes()]), ());
    }
    let _all = logins.waiting.try_acquire_many(64).unwrap();
    assert_eq!(logins.check(&users, Some(&good)).await, Verdict::LetIn);
    assert!(logins.refused.len() <= KEPT, "{logins:?}");
}

#[test]
fn a_name_that_nobody_has_costs_as_much_as_a_user() {
    let hash = |cost: u32| bcrypt::hash("x", cost).unwrap();
    let of = |name: &str, cost| (name.to_owned(), hash(cost));
    let cost = |users: Users| users.nobodys.parse::<HashParts>().unwrap().get_cost();
    assert_eq!(cost(Users::new([of("a", 4)].into()).unwrap()), LEAST_COST);
    let users = Users::new([of("a", 4), of("b", 11)].into()).unwrap();
    assert_eq!(cost(users), 11);

    let wrong = [("a".to_owned(), "password".to_owned())].into();
    let failure = Users::new(wrong).unwrap_err().to_string();
    assert!(
        failure.contains("basic_auth_users.a is no bcrypt hash"),
        "{failure}"
    );
    assert!(!failure.contains("password"), "{failure}");
}
