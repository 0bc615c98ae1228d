//! Pools: where hosts can be had.

use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::provider::{self, word};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::event::NewEvent;
use lace_model::family::Family;
use lace_model::host::Host;
use lace_model::machine::Machine;
use lace_model::pool::{BILLING, DISCOUNT, Discount, Pool, Price, billing_ms};
use lace_model::{Code, Name};
use lace_store::{Expect, Row};
use lace_wire::api::{Accepted, PoolRequest};

/// Pools at most.
const POOLS_MAX: usize = 1_000;
/// Attributes of a pool at most.
const ATTRIBUTES_MAX: usize = 100;

/// `GET /v1/pools`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<Pool>>> {
    let rows = state.store.snapshot_async(|view| view.list::<Pool>("")).await?;
    Ok(Json(rows.into_iter().map(|row| row.value).collect()))
}

/// `POST /v1/pools/{name}`.
pub(crate) async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Doc(request): Doc<PoolRequest>,
) -> Answer<Json<Accepted>> {
    let provider = request.provider.clone().ok_or_else(|| {
        Refusal::usage(format!("pool {name}: no provider is said")).hint("lace provider list")
    })?;
    let provider = provider::by_name(&state, &provider)?.value;
    let known = state.store.list::<Pool>("")?;
    if known.iter().any(|row| row.value.name == name) {
        return Err(Refusal::new(Code::Conflict, format!("there is a pool {name} already"))
            .hint(format!("change it with: lace pool set {name}")));
    }
    if known.len() >= POOLS_MAX {
        return Err(Refusal::new(Code::Conflict, format!("there are {POOLS_MAX} pools, the most")));
    }
    let blank = Pool {
        name,
        provider: provider.name,
        region: provider.region,
        zone: None,
        image: None,
        profile: None,
        attributes: Default::default(),
        price: None,
        hosts_max: None,
        made_at: state.now(),
    };
    let pool = laid_over(&state, blank, &request)?;
    write(&state, &caller, "pool.add", &pool, Expect::Absent).await
}

/// `PUT /v1/pools/{name}`.
pub(crate) async fn set(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Doc(request): Doc<PoolRequest>,
) -> Answer<Json<Accepted>> {
    again(|| set_once(&state, &caller, &name, &request)).await
}

async fn set_once(
    state: &ApiState,
    caller: &Caller,
    name: &Name,
    request: &PoolRequest,
) -> Answer<Json<Accepted>> {
    let row = by_name(state, name)?;
    if request.provider.as_ref().is_some_and(|provider| *provider != row.value.provider) {
        let text = format!("pool {name} is one of provider {}, which does not change", row.value.provider);
        return Err(Refusal::new(Code::Conflict, text).hint("add another pool"));
    }
    let pool = laid_over(state, row.value, request)?;
    write(state, caller, "pool.set", &pool, Expect::Rev(row.rev)).await
}

/// `DELETE /v1/pools/{name}`.
pub(crate) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<Accepted>> {
    let row = by_name(&state, &name)?;
    let hosts = state.store.list::<Host>("")?;
    let hosts = hosts.iter().filter(|h| h.value.pool.as_ref() == Some(&name));
    let families = state.store.list::<Family>("")?;
    let families = families.iter().filter(|f| f.value.pools.contains(&name));
    let machines = state.store.list::<Machine>("")?;
    let machines = machines.iter().filter(|m| m.value.pool == name && m.value.counts());
    let users: Vec<String> = hosts
        .map(|h| format!("host {}", h.value.name))
        .chain(machines.map(|m| format!("the machine of host {}", m.value.name)))
        .chain(families.map(|f| format!("family {}", f.value.path)))
        .collect();
    if !users.is_empty() {
        let more = users.len().saturating_sub(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("pool {name} is used by {}{more}", users[..users.len().min(5)].join(", "));
        return Err(Refusal::new(Code::Conflict, text).hint("give them another pool first"));
    }
    let subject = format!("pool/{name}");
    let deed = Deed::light("pool.remove", &subject);
    let mut batch = deed.batch(&caller);
    batch.delete::<Pool>(name.as_str(), Expect::Rev(row.rev));
    batch.event(NewEvent::new("pool.removed", &subject, "removed"));
    deed.only(&state, batch).await?;
    Ok(Json(Accepted { operation: None, message: format!("pool {name} is removed") }))
}

pub(crate) fn by_name(state: &ApiState, name: &Name) -> Answer<Row<Pool>> {
    let found = state.store.get::<Pool>(name.as_str())?;
    found.ok_or_else(|| Refusal::not_found(format_args!("pool {name}")).hint("lace pool list"))
}

fn laid_over(state: &ApiState, pool: Pool, request: &PoolRequest) -> Answer<Pool> {
    let mut next = pool;
    next.region = word("region", &request.region)?.or(next.region);
    next.zone = word("zone", &request.zone)?.or(next.zone);
    next.image = word("image", &request.image)?.or(next.image);
    next.profile = word("profile", &request.profile)?.or(next.profile);
    for (key, value) in &request.attributes {
        if value.is_empty() {
            next.attributes.remove(key);
            continue;
        }
        if !is_attribute(key) || value.len() > provider::WORD_BYTES_MAX {
            let text =
                format!("{key:?} is no attribute: letters, digits and _, a letter first, a value with it");
            return Err(Refusal::usage(text));
        }
        check_money(key, value).map_err(Refusal::usage)?;
        next.attributes.insert(key.clone(), value.clone());
    }
    if next.attributes.len() > ATTRIBUTES_MAX {
        return Err(Refusal::usage(format!("a pool has at most {ATTRIBUTES_MAX} attributes")));
    }
    match request.price_per_hour.as_deref().map(str::trim) {
        None => {}
        Some("") => next.price = None,
        Some(text) => next.price = Some(Price::said(text, state.now()).map_err(Refusal::usage)?),
    }
    if let Some(hosts) = request.hosts_max {
        next.hosts_max = Some(hosts).filter(|hosts| *hosts > 0);
    }
    Ok(next)
}

/// Attributes that say what is paid must be understood.
fn check_money(key: &str, value: &str) -> Result<(), String> {
    match key {
        DISCOUNT => value.parse::<Discount>().map(drop),
        BILLING => billing_ms(value).map(drop),
        _ => Ok(()),
    }
}

/// A name that a condition can say.
fn is_attribute(key: &str) -> bool {
    let mut signs = key.chars();
    signs.next().is_some_and(|c| c.is_ascii_alphabetic())
        && signs.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && key.len() <= 64
}

async fn write(
    state: &ApiState,
    caller: &Caller,
    verb: &str,
    pool: &Pool,
    expect: Expect,
) -> Answer<Json<Accepted>> {
    let subject = format!("pool/{}", pool.name);
    let deed = Deed::new(verb, &subject);
    let mut batch = deed.batch(caller);
    batch.put(pool, expect);
    let price = pool.price.as_ref().map_or_else(
        || "its price is not known, so it is never the cheapest".to_owned(),
        |price| format!("{price}, {}", price.source),
    );
    batch.event(NewEvent::new(verb, &subject, &price));
    deed.only(state, batch).await?;
    let message = format!("pool {} of provider {}: {price}", pool.name, pool.provider);
    Ok(Json(Accepted { operation: None, message }))
}
