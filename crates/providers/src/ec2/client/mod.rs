//! Questions put to EC2: signed, bounded in size, time and number, asked again where that is safe.

mod send;

use super::credential::{Chain, Credentials};
use super::fault::Fault;
use super::query::{Query, Repeat};
use super::xml::Element;
use crate::provider::{Error, Result};
use send::Http;
pub(crate) use send::plain_http;
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Mutex;

/// Pages of one list: at a thousand each, more than any account has.
const PAGES_MAX: usize = 200;

/// How long is waited, and how often is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one answer.
    pub answer: Duration,
    /// For all tries of one call together, with the pauses between them.
    pub call: Duration,
    /// Tries of one call.
    pub tries: u32,
    /// The first pause is at most so long, each next one twice that.
    pub pause: Duration,
    /// No pause is longer.
    pub pause_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            answer: seconds(20),
            call: seconds(90),
            tries: 8,
            pause: Duration::from_millis(250),
            pause_max: seconds(15),
        }
    }
}

/// Where EC2 answers.
#[derive(Clone, Debug)]
pub struct Place {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// Where it answers, where that is not the usual place: `https://…`, or `http://` on this machine.
    pub endpoint: Option<String>,
}

/// Who asks EC2.
pub struct Client {
    http: Http,
    chain: Chain,
    held: Mutex<Option<Credentials>>,
    patience: Patience,
}

impl Client {
    /// One that asks this region. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a region or endpoint that cannot be one.
    pub fn new(place: &Place, chain: Chain, patience: Patience) -> Result<Self> {
        let http = Http::new(place, patience.answer)?;
        Ok(Self { http, chain, held: Mutex::new(None), patience })
    }

    /// The region that is asked.
    pub fn region(&self) -> &str {
        &self.http.region
    }

    /// The credentials; fetched anew where they end soon.
    pub(super) async fn credentials(&self) -> Result<Credentials> {
        let mut held = self.held.lock().await;
        match held.as_ref().filter(|held| held.last(SystemTime::now())) {
            Some(held) => Ok(held.clone()),
            None => Ok(held.insert(self.chain.find(self.http.plain()).await?).clone()),
        }
    }

    /// Asks, again where that is safe and helps.
    pub(super) async fn call(&self, query: &Query) -> std::result::Result<Element, Fault> {
        let began = Instant::now();
        let mut tried = 0;
        loop {
            tried += 1;
            let left = self.patience.call.saturating_sub(began.elapsed());
            let fault = match self.once(query, left).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let pause = self.pause(tried);
            let renewed = tried == 1 && fault.is_expired() && self.forget().await;
            let not_yet = fault.code().is_some_and(|code| query.not_yet.contains(&code));
            let again = renewed || not_yet || fault.may_repeat(query.repeat);
            if !again || tried >= self.patience.tries || began.elapsed() + pause >= self.patience.call {
                return Err(fault);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, query: &Query, left: Duration) -> std::result::Result<Element, Fault> {
        let credentials = self.credentials().await.map_err(Fault::Unasked)?;
        let within = left.min(self.patience.answer);
        match tokio::time::timeout(within, self.http.ask(query, &credentials)).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = format!("no answer within {} s", within.as_secs_f32().ceil());
                Err(Fault::Silent { action: query.action, why })
            }
        }
    }

    /// Credentials that came with an end may be had anew.
    async fn forget(&self) -> bool {
        self.held.lock().await.take().is_some_and(|held| held.ends.is_some())
    }

    /// Full jitter: anything between nothing and a bound that doubles, so that those who were turned away together do not
    /// come back together (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    fn pause(&self, tried: u32) -> Duration {
        let doubled = self.patience.pause.saturating_mul(1 << tried.saturating_sub(1).min(16));
        let most = doubled.min(self.patience.pause_max).as_micros();
        let random = u128::from(getrandom::u64().unwrap_or(u64::MAX / 2));
        Duration::from_micros(u64::try_from(most * random / u128::from(u64::MAX)).unwrap_or(u64::MAX))
    }

    /// Asks for a list, page by page.
    pub(super) async fn pages(
        &self,
        query: Query,
        list: &str,
        per_page: u32,
    ) -> std::result::Result<Vec<Element>, Fault> {
        debug_assert_eq!(query.repeat, Repeat::Always);
        let (action, query) = (query.action, query.set("MaxResults", per_page));
        let garbled = |why: &str| Fault::Silent { action, why: why.to_owned() };
        let (mut all, mut next, mut seen) = (Vec::new(), None::<String>, BTreeSet::new());
        for _ in 0..PAGES_MAX {
            let mut answer = self.call(&query.clone().some("NextToken", next.as_ref())).await?;
            next = answer.text("nextToken").map(str::to_owned);
            if let Some(at) = answer.children.iter().position(|child| child.name == list) {
                all.append(&mut answer.children[at].children);
            }
            match &next {
                None => return Ok(all),
                Some(token) if !seen.insert(token.clone()) => {
                    return Err(garbled("its list goes in a circle"));
                }
                Some(_) => {}
            }
        }
        Err(garbled("its list has no end"))
    }
}

/// An answer that lacks what it must have.
pub(super) fn garbled(action: &'static str) -> impl Fn(String) -> Fault {
    move |why| Fault::Silent { action, why: format!("its answer cannot be used: {why}") }
}

/// The only way in which a place can be wrong.
fn wrong(what: String) -> Error {
    Error::invalid(what)
}
