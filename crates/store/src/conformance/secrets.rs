//! Secrets: versions, removal, bounds.

use super::{Make, batch};
use crate::{Limits, Rev, SecretValue, Store, StoreError, limits};
use lace_model::AppName;

fn app(name: &str) -> AppName {
    AppName::new(name).expect("a name")
}

fn put(store: &Store, app: &AppName, name: &str, value: &str) -> u64 {
    store.secret_put(app, name, SecretValue::new(value), false).expect("sealed")
}

fn get(store: &Store, app: &AppName, name: &str, version: Option<u64>) -> Option<(String, u64)> {
    let found = store.secret_get(app, name, version).expect("read");
    found.map(|(value, version)| (String::from_utf8_lossy(value.expose()).into_owned(), version))
}

pub(super) fn versions(make: Make<'_>) {
    let fixture = make(Limits::default());
    let (store, shop) = (&fixture.store, app("shop"));
    assert_eq!(get(store, &shop, "KEY", None), None);
    assert_eq!(put(store, &shop, "KEY", "one"), 1);
    fixture.clock.advance(10);
    assert_eq!(put(store, &shop, "KEY", "two"), 2);
    assert_eq!(put(store, &app("other"), "KEY", "else"), 1);
    store.secret_put(&shop, "COOKIE", SecretValue::new("made"), true).expect("sealed");
    assert_eq!(get(store, &shop, "KEY", None), Some(("two".into(), 2)));
    assert_eq!(get(store, &shop, "KEY", Some(1)), Some(("one".into(), 1)));
    assert_eq!(get(store, &shop, "KEY", Some(3)), None);
    let infos = store.secret_list(Some(&shop)).expect("listed");
    let shown: Vec<_> = infos.iter().map(|i| (i.name.as_str(), i.version, i.generated)).collect();
    assert_eq!(shown, [("COOKIE", 1, true), ("KEY", 2, false)]);
    assert_eq!(store.secret_list(None).expect("listed").len(), 3);
    let feed = store.changes(Rev(0), 10).expect("feed");
    let keys: Vec<_> = feed.iter().map(|c| (c.kind.as_str(), c.key.as_str())).collect();
    assert_eq!(keys[0], ("secret", "shop/KEY"));
    let big = SecretValue::new(vec![0; lace_model::secret::SECRET_BYTES_MAX + 1]);
    let refused = store.secret_put(&shop, "BIG", big, false);
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
}

pub(super) fn removed(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let shop = app("shop");
    put(&store, &shop, "KEY", "one");
    put(&store, &shop, "KEEP", "kept");
    assert!(store.secret_remove(&shop, "KEY").expect("removed"));
    assert!(!store.secret_remove(&shop, "KEY").expect("nothing left"));
    assert_eq!(get(&store, &shop, "KEY", Some(1)), None);
    assert_eq!(put(&store, &shop, "KEY", "again"), 2, "version 1 never means another value");
    let feed = store.changes(Rev(0), 10).expect("feed");
    assert_eq!(feed.iter().filter(|c| c.deleted).count(), 1);
    store.commit(batch(|b| b.secret_remove_all(&shop))).expect("removed");
    assert_eq!(store.secret_list(None).expect("listed"), []);
    assert_eq!(put(&store, &shop, "KEY", "a new application"), 1);
}

pub(super) fn copied(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let (shop, store_of) = (app("shop"), app("store"));
    for (name, value) in [("KEY", "one"), ("KEY", "two"), ("GONE", "x"), ("OTHER", "y")] {
        put(&store, &shop, name, value);
    }
    assert!(store.secret_remove(&shop, "GONE").expect("removed"));
    let before = store.secret_list(None).expect("listed").len();
    store.commit(batch(|b| b.secret_copy_all(&shop, &store_of))).expect("copied");
    assert_eq!(store.secret_list(None).expect("listed").len(), 2 * before);
    store.commit(batch(|b| b.secret_remove_all(&shop))).expect("removed");
    let values = [Some(1), Some(2), None].map(|version| get(&store, &store_of, "KEY", version));
    assert_eq!(values, [Some(("one".into(), 1)), Some(("two".into(), 2)), Some(("two".into(), 2))]);
    assert_eq!(put(&store, &store_of, "KEY", "three"), 3);
    assert_eq!(put(&store, &store_of, "GONE", "again"), 2, "numbers of what went are not used again");
}

pub(super) fn trimmed(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let shop = app("shop");
    let last = limits::SECRET_VERSIONS_MAX + 3;
    for n in 1..=last {
        assert_eq!(put(&store, &shop, "KEY", &n.to_string()), n);
    }
    assert_eq!(get(&store, &shop, "KEY", Some(3)), None);
    assert_eq!(get(&store, &shop, "KEY", Some(4)), Some(("4".into(), 4)));
    assert_eq!(get(&store, &shop, "KEY", None), Some((last.to_string(), last)));
}
