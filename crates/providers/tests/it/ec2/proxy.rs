//! Stands before moto and does what moto does not: six things of EC2's, and failures on order.
//!
//! Its own, and not moto's: the limit of user data, the replay by client token, `RequestLimitExceeded` and 5xx and lost
//! answers, machines that stay pending for a while, the refusal to delete groups and subnets that machines are in, and
//! that an address which is led on leaves the machine that had it.

use super::moto::Moto;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use lace_providers::ec2::{Client, Which};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

type Said = (StatusCode, String);

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is refused with a code, and nothing is done.
    Refuse(u16, &'static str),
    /// It is done, and its answer is lost: the service says 500.
    Lose,
    /// It is done, its answer is lost, and nothing is answered from then on, until `mend`.
    Cut,
}

#[derive(Default)]
struct Kept {
    /// Actions that change something, in their order, as they were let through.
    deeds: Vec<String>,
    /// What is ordered for the deed of this number, counted from 1 since the last `start_over`.
    orders: BTreeMap<usize, Order>,
    /// What is ordered for the next call of an action.
    next: Vec<(String, Order)>,
    cut: bool,
    tokens: BTreeMap<String, (String, Said)>,
    /// How often a machine is told as pending yet.
    pending: BTreeMap<String, u32>,
    pending_for: u32,
}

#[derive(Clone)]
struct Wire {
    http: reqwest::Client,
    moto: String,
    client: Arc<Client>,
    kept: Arc<Mutex<Kept>>,
}

pub struct Proxy {
    pub at: String,
    wire: Wire,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn before(moto: &Moto) -> Self {
        let http = super::http();
        let (moto, client) = (moto.at.clone(), Arc::new(moto.client()));
        let wire = Wire { http, moto, client, kept: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("address"));
        let router = Router::new().fallback(pass).with_state(wire.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { at, wire, task }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.wire.kept.lock().expect("kept")
    }

    /// Machines are pending for so many looks at them.
    pub fn pending_for(&self, looks: u32) {
        self.kept().pending_for = looks;
    }

    /// The deed of this number, from now on, fares so.
    pub fn at_deed(&self, number: usize, order: Order) {
        let mut kept = self.kept();
        kept.deeds.clear();
        kept.orders = BTreeMap::from([(number, order)]);
    }

    /// The next call of an action fares so.
    pub fn at_next(&self, action: &str, order: Order) {
        self.kept().next.push((action.to_owned(), order));
    }

    pub fn mend(&self) {
        let mut kept = self.kept();
        (kept.cut, kept.orders) = (false, BTreeMap::new());
        kept.next.clear();
        kept.deeds.clear();
    }

    pub fn deeds(&self) -> Vec<String> {
        self.kept().deeds.clone()
    }
}

async fn pass(State(wire): State<Wire>, headers: HeaderMap, body: Bytes) -> Said {
    let pairs: BTreeMap<String, String> = {
        let text = format!("http://x/?{}", String::from_utf8_lossy(&body));
        reqwest::Url::parse(&text).expect("form text").query_pairs().into_owned().collect()
    };
    let action = pairs.get("Action").cloned().unwrap_or_default();
    let order = {
        let mut kept = wire.kept.lock().expect("kept");
        if kept.cut {
            return (StatusCode::INTERNAL_SERVER_ERROR, "cut".into());
        }
        kept.order(&action)
    };
    if let Some(Order::Refuse(status, code)) = order {
        return error(status, code);
    }
    let said = match wire.refused(&action, &pairs).await {
        Some(refused) => refused,
        None => wire.answered(&action, &pairs, headers, body).await,
    };
    match order {
        Some(Order::Lose) => error(500, "InternalError"),
        Some(Order::Cut) => {
            wire.kept.lock().expect("kept").cut = true;
            (StatusCode::INTERNAL_SERVER_ERROR, "cut".into())
        }
        _ => said,
    }
}

impl Kept {
    fn order(&mut self, action: &str) -> Option<Order> {
        if let Some(at) = self.next.iter().position(|(ordered, _)| ordered == action) {
            return Some(self.next.remove(at).1);
        }
        if action.starts_with("Describe") || action.starts_with("Get") {
            return None;
        }
        self.deeds.push(action.to_owned());
        self.orders.get(&self.deeds.len()).cloned()
    }
}

fn error(status: u16, code: &str) -> Said {
    let text = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>said by the proxy</Message></Error></Errors></Response>"
    );
    (StatusCode::from_u16(status).expect("status"), text)
}

impl Wire {
    /// What EC2 would refuse, and moto does not.
    async fn refused(&self, action: &str, pairs: &BTreeMap<String, String>) -> Option<Said> {
        let value = |name: &str| pairs.get(name).map(String::as_str).unwrap_or_default();
        match action {
            "RunInstances" => {
                let data =
                    base64::engine::general_purpose::STANDARD.decode(value("UserData")).expect("base64");
                (data.len() > 16_384).then(|| error(400, "InvalidParameterValue"))
            }
            "DeleteSubnet" => self.in_use("subnet-id", value("SubnetId")).await,
            "AssociateAddress" => {
                self.leave(value("AllocationId")).await;
                None
            }
            "DeleteSecurityGroup" => self.in_use("instance.group-id", value("GroupId")).await,
            _ => None,
        }
    }

    async fn in_use(&self, filter: &str, id: &str) -> Option<Said> {
        let (ids, states) = ([id], ["pending", "running", "stopping", "stopped", "shutting-down"]);
        let filters: [(&str, &[&str]); 2] = [(filter, &ids), ("instance-state-name", &states)];
        let inside = self.client.machines(Which::Filters(&filters)).await.expect("asked");
        (!inside.is_empty()).then(|| error(400, "DependencyViolation"))
    }

    /// moto leaves an address that is led on with the machine that had it.
    async fn leave(&self, id: &str) {
        let found = self.client.addresses(Which::Ids(&[id]), "").await.unwrap_or_default();
        for association in found.into_iter().filter_map(|address| address.association) {
            self.client.unlead(&association).await.expect("left");
        }
    }

    async fn answered(
        &self,
        action: &str,
        pairs: &BTreeMap<String, String>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Said {
        let form = String::from_utf8_lossy(&body).into_owned();
        let token = pairs.get("ClientToken").map(|token| format!("{action} {token}"));
        if let Some(known) =
            token.as_ref().and_then(|token| self.kept.lock().expect("kept").tokens.get(token).cloned())
        {
            return if known.0 == form { known.1 } else { error(400, "IdempotentParameterMismatch") };
        }
        // The host is signed: it stays the one that was asked.
        let request = self.http.post(&self.moto).headers(headers).body(body);
        let answer = request.send().await.expect("moto");
        let status = StatusCode::from_u16(answer.status().as_u16()).expect("status");
        let said = (status, answer.text().await.expect("moto"));
        let mut kept = self.kept.lock().expect("kept");
        if let Some(token) = token
            && status.is_success()
        {
            kept.tokens.insert(token, (form, said.clone()));
        }
        kept.slowly(action, said)
    }
}

impl Kept {
    /// Machines boot slowly: what moto calls running at once is pending for some looks.
    fn slowly(&mut self, action: &str, (status, text): Said) -> Said {
        let id = |part: &str| part.split('<').next().unwrap_or_default().to_owned();
        if action == "RunInstances" {
            for part in text.split("<instanceId>").skip(1) {
                self.pending.insert(id(part), self.pending_for);
            }
        }
        if action != "DescribeInstances" {
            return (status, text);
        }
        let mut parts = text.split("<instanceId>");
        let mut slow = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let left = self.pending.get_mut(&id(part)).filter(|left| **left > 0);
            let part = match left {
                None => part.to_owned(),
                Some(left) => {
                    *left -= 1;
                    part.replacen("<name>running</name>", "<name>pending</name>", 1)
                }
            };
            slow = slow + "<instanceId>" + &part;
        }
        (status, slow)
    }
}
