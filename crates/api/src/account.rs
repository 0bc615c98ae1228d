//! What hosts cost, and who pays: sums of a month, and rows of the ledger.

use crate::ask::Ask;
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::Millis;
use lace_model::money::{Account, AccountName, Charge, Meter, Month};
use lace_planner::money::{accrued, divide};
use lace_wire::api::{AccountView, AccountsView, HostCost};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rows of the ledger in one answer at most.
const ROWS_MAX: usize = 10_000;

/// `?month`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonthAsk {
    /// This one where none is said.
    pub month: Option<Month>,
}

/// `?month&account&limit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LedgerAsk {
    /// This one where none is said.
    pub month: Option<Month>,
    /// Rows that it pays a part of; all where none is said.
    pub account: Option<AccountName>,
    /// The newest ones, at most so many.
    pub limit: Option<usize>,
}

/// `GET /v1/accounts`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<MonthAsk>,
) -> Answer<Json<AccountsView>> {
    let now = state.now();
    let month = ask.month.unwrap_or_else(|| Month::of(now));
    let prefix = format!("{month}/");
    let (accounts, rows, meters) = state
        .store
        .snapshot_async(move |view| {
            Ok((view.list::<Account>("")?, view.list::<Charge>(&prefix)?, view.list::<Meter>("")?))
        })
        .await?;
    let meters: Vec<Meter> = meters.into_iter().map(|row| row.value).collect();
    let open: Vec<Charge> = open_rows(&meters, month, now);
    let mut view = AccountsView { month: month.to_string(), ..AccountsView::default() };
    view.accounts = by_account(accounts.into_iter().map(|row| row.value), &open, &meters, month);
    if caller.sees_all() {
        view.hosts = by_host(rows.iter().map(|row| &row.value).chain(&open), &meters);
    } else {
        let is_own = |account: &AccountView| {
            account.account.parse().is_ok_and(|name: AccountName| is_seen(&caller, &name))
        };
        view.accounts.retain(is_own);
    }
    Ok(Json(view))
}

/// Who is limited to some applications sees their accounts: neither those of others, nor what is idle.
fn is_seen(caller: &Caller, account: &AccountName) -> bool {
    account.app().map_or_else(|| caller.sees_all(), |app| caller.sees(app))
}

/// What ran up in the month and is not in the ledger yet.
fn open_rows(meters: &[Meter], month: Month, now: Millis) -> Vec<Charge> {
    meters.iter().flat_map(|meter| accrued(meter, now)).filter(|row| row.month == month).collect()
}

fn by_account(
    accounts: impl Iterator<Item = Account>,
    open: &[Charge],
    meters: &[Meter],
    month: Month,
) -> Vec<AccountView> {
    // The sum, and what an hour costs now, by account and currency.
    let mut sums: BTreeMap<(AccountName, String), (i64, i64)> = BTreeMap::new();
    for account in accounts {
        for (currency, micro) in account.months.get(&month).into_iter().flatten() {
            sums.entry((account.name.clone(), currency.clone())).or_default().0 += micro;
        }
    }
    for row in open {
        for (account, micro) in &row.lines {
            sums.entry((account.clone(), row.currency.clone())).or_default().0 += micro;
        }
    }
    for meter in meters {
        for (account, micro) in divide(meter.price.micro_per_hour, &meter.shares) {
            sums.entry((account, meter.price.currency.clone())).or_default().1 += micro;
        }
    }
    let view = |((account, currency), (micro, micro_per_hour)): ((AccountName, String), (i64, i64))| {
        AccountView { account: account.to_string(), currency, micro, micro_per_hour }
    };
    sums.into_iter().map(view).collect()
}

fn by_host<'a>(rows: impl Iterator<Item = &'a Charge>, meters: &[Meter]) -> Vec<HostCost> {
    let mut costs: BTreeMap<(String, String), HostCost> = BTreeMap::new();
    let blank = |name: &lace_model::Name, pool: &lace_model::Name, currency: &str| HostCost {
        host: name.to_string(),
        pool: pool.to_string(),
        currency: currency.to_owned(),
        micro: 0,
        micro_per_hour: 0,
    };
    for row in rows {
        let key = (row.name.to_string(), row.currency.clone());
        costs.entry(key).or_insert_with(|| blank(&row.name, &row.pool, &row.currency)).micro += row.micro();
    }
    for meter in meters {
        let currency = &meter.price.currency;
        let key = (meter.name.to_string(), currency.clone());
        let cost = costs.entry(key).or_insert_with(|| blank(&meter.name, &meter.pool, currency));
        cost.micro_per_hour = i64::try_from(meter.price.micro_per_hour).unwrap_or(i64::MAX);
    }
    costs.into_values().collect()
}

/// `GET /v1/charges`: the oldest first. Who is limited to some applications sees what these pay of each row.
pub(crate) async fn ledger(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<LedgerAsk>,
) -> Answer<Json<Vec<Charge>>> {
    let month = ask.month.unwrap_or_else(|| Month::of(state.now()));
    let rows = state.store.snapshot_async(move |view| view.list::<Charge>(&format!("{month}/"))).await?;
    let pays = |row: &Charge| ask.account.as_ref().is_none_or(|account| row.lines.contains_key(account));
    let own = |mut row: Charge| {
        row.lines.retain(|account, _| is_seen(&caller, account));
        (!row.lines.is_empty()).then_some(row)
    };
    let mut rows: Vec<Charge> = rows.into_iter().filter_map(|row| own(row.value)).filter(pays).collect();
    let over = rows.len().saturating_sub(ask.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX));
    rows.drain(..over);
    Ok(Json(rows))
}
