//! Pools: their hosts and prices, and what people say of them.

use crate::page;
use crate::visit::Visit;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::host::Host;
use lace_model::pool::Pool;
use lace_model::{Name, Problem};
use lace_wire::api::{Accepted, PoolRequest};
use std::collections::BTreeMap;

/// A pool with what there is of it.
pub struct Row {
    pub pool: Pool,
    pub hosts: usize,
    /// Processors of these hosts, in thousandths.
    pub cpu: u32,
    /// Their memory, in bytes.
    pub memory: u64,
}

impl Row {
    /// A pool among all hosts.
    pub fn of(pool: Pool, hosts: &[Host]) -> Self {
        let own = hosts.iter().filter(|host| host.pool.as_ref() == Some(&pool.name));
        let (mut count, mut cpu, mut memory) = (0, 0u32, 0u64);
        for host in own {
            count += 1;
            cpu = cpu.saturating_add(host.capacity.cpu.0);
            memory = memory.saturating_add(host.capacity.memory.0);
        }
        Self { pool, hosts: count, cpu, memory }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        let parts = [&self.pool.region, &self.pool.zone];
        parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(" / ")
    }

    /// What its hosts are made of.
    pub fn made_of(&self) -> String {
        let parts = [&self.pool.profile, &self.pool.image];
        parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ")
    }
}

/// `POST /act/pool`: makes one, changes it, or removes it.
pub async fn act(visit: Visit, Form(fields): Form<Vec<(String, String)>>) -> Response {
    page::accepted(done(&visit, &fields).await)
}

async fn done(visit: &Visit, fields: &[(String, String)]) -> Result<Accepted, Problem> {
    let path = format!("/v1/pools/{}", crate::api::encoded(crate::field::one(fields, "name").trim()));
    match crate::field::one(fields, "verb") {
        "add" => visit.send(Method::POST, &path, &said(fields)?).await,
        "set" => visit.send(Method::PUT, &path, &said(fields)?).await,
        "remove" => visit.send(Method::DELETE, &path, &()).await,
        other => Err(crate::act::usage(format!("there is no verb {other:?}"))),
    }
}

/// The field of attributes: one called `attributes` would hide that of the form's own in the browser.
const ATTRIBUTES: &str = "attribute_lines";
/// What people write where a price is not known any more.
const UNKNOWN: &str = "unknown";

/// What a form says. A field that is empty, or not in it, stays as it is; no hosts at most are any number.
fn said(fields: &[(String, String)]) -> Result<PoolRequest, Problem> {
    let one =
        |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.trim().to_owned());
    let word = |key| one(key).filter(|text| !text.is_empty());
    let provider = word("provider").map(|text| Name::new(&text)).transpose();
    let wrong = |text: &str| crate::act::usage(format!("hosts at most: {text:?} is not a number"));
    let hosts_max = word("hosts_max").map(|text| text.parse().map_err(|_| wrong(&text))).transpose()?;
    let price = word("price").map(|text| if text == UNKNOWN { String::new() } else { text });
    Ok(PoolRequest {
        provider: provider.map_err(|e| crate::act::usage(e.to_string()))?,
        region: word("region"),
        zone: word("zone"),
        image: word("image"),
        profile: word("profile"),
        attributes: attributes(&one(ATTRIBUTES).unwrap_or_default())?,
        price_per_hour: price,
        hosts_max,
    })
}

fn attributes(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let pair = line.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        pair.ok_or_else(|| crate::act::usage(format!("{line:?} is no attribute")).hint("write KEY=VALUE"))
    };
    lines.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_does_not_have_stays() {
        let fields = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let price = said(&fields(&[("price", "0.02 EUR")])).expect("good");
        assert_eq!(price, PoolRequest { price_per_hour: Some("0.02 EUR".into()), ..PoolRequest::default() });
        assert_eq!(
            said(&fields(&[("price", " "), ("hosts_max", "")])).expect("good"),
            PoolRequest::default()
        );
        let all = [("price", "unknown"), ("hosts_max", "0"), ("attribute_lines", "disk = ssd\n\ngpu=")];
        let all = said(&fields(&all)).expect("good");
        assert_eq!((all.price_per_hour.as_deref(), all.hosts_max), (Some(""), Some(0)));
        assert_eq!(all.attributes.get("disk").map(String::as_str), Some("ssd"));
        for wrong in [("hosts_max", "many"), ("attribute_lines", "ssd"), ("provider", "No name")] {
            assert!(said(&fields(&[wrong])).is_err(), "{wrong:?}");
        }
    }
}
