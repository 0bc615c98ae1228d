//! Pages of large installations stay small. Bytes are asserted, times are printed.

use crate::answers::{of_hosts, of_nodes};
use crate::fake::{page, pages};
use serde_json::Value;
use std::time::Instant;

async fn weigh(answers: Vec<(&'static str, Value)>, path: &str, bytes_max: usize) -> String {
    let pages = pages(answers);
    let (head, plain) = page(&pages, path, false).await;
    assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&plain));
    let began = Instant::now();
    let (_, packed) = page(&pages, path, true).await;
    eprintln!(
        "{path}: {} bytes, {} packed, made in {} ms",
        plain.len(),
        packed.len(),
        began.elapsed().as_millis()
    );
    assert!(packed.len() < bytes_max, "{path} travels as {} bytes", packed.len());
    String::from_utf8(plain).expect("text")
}

#[tokio::test]
async fn ten_thousand_hosts_are_a_map() {
    let text = weigh(of_hosts(10_000), "/hosts", 120_000).await;
    assert!(text.contains("host-1007") && text.contains("10000 in all"));
    weigh(of_hosts(10_000), "/", 120_000).await;
}

#[tokio::test]
async fn a_thousand_nodes_are_squares_and_a_page_of_rows() {
    let text = weigh(of_nodes(1000), "/apps/shop/web/web", 60_000).await;
    assert!(text.contains("1 to 100 of 1000"));
    weigh(of_nodes(1000), "/apps/shop", 60_000).await;
}
