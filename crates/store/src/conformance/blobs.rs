//! Blobs: content by digest.

use super::Make;
use crate::{Limits, StoreError, limits};
use lace_model::{Digest, Span};
use std::collections::BTreeSet;

pub(super) fn kept(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let blobs = store.blobs();
    let (one, none) = (Digest::of(b"one"), Digest::of(b"none"));
    assert_eq!(blobs.get(&one).expect("read"), None);
    for _ in 0..2 {
        assert_eq!(blobs.put(b"one").expect("kept"), one);
    }
    blobs.put(b"").expect("an empty one");
    assert_eq!(blobs.get(&one).expect("read").as_deref(), Some(&b"one"[..]));
    assert_eq!(blobs.size(&one), Some(3));
    let asked = [none, one, none, Digest::of(b"")];
    assert_eq!(blobs.missing(&asked).expect("answered"), [none], "each once");
    assert_eq!(blobs.list().expect("listed").len(), 2);
    assert!(blobs.remove(&one).expect("removed") && !blobs.remove(&one).expect("gone"));
    assert_eq!(blobs.get(&one).expect("read"), None);
    let big = blobs.put(&vec![0; limits::BLOB_BYTES_MAX + 1]);
    assert!(matches!(big, Err(StoreError::TooLarge { .. })));
}

pub(super) fn collected(make: Make<'_>) {
    let fixture = make(Limits::default());
    let (blobs, clock) = (fixture.store.blobs(), &fixture.clock);
    let put = |text: &str| blobs.put(text.as_bytes()).expect("kept");
    let (live, stray, asked) = (put("live"), put("stray"), put("asked"));
    let grace = Span::secs(60);
    let keep = BTreeSet::from([live]);
    clock.advance(59_000);
    assert_eq!(blobs.collect(&keep, grace).expect("collected").spared, 2, "all are young");
    blobs.missing(&[asked]).expect("asked for");
    clock.advance(2_000);
    let young = put("young");
    let done = blobs.collect(&keep, grace).expect("collected");
    assert_eq!((done.removed, done.bytes, done.spared), (1, 5, 2));
    let all = [live, stray, asked, young];
    assert_eq!(blobs.missing(&all).expect("answered"), [stray]);
}
