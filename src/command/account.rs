//! `lace account`: what hosts cost, and who pays.

use super::output::clock;
use super::{Exit, Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::money::{AccountName, MONTH_HOURS, Month, amount};
use lace_wire::api::{AccountView, HostCost};

const EXAMPLE: &str = "Example:\n  lace account show\n  lace account ledger shop --month 2026-11";

/// `lace account`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct AccountArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AccountVerb,
}

/// The verbs of `lace account`.
#[derive(Subcommand, Debug)]
pub enum AccountVerb {
    /// What applications pay in a month and an hour; `idle/POOL` pays for what nobody claims
    #[command(after_help = "Example:\n  lace account show --by-host")]
    Show {
        /// Only this account: an application, or idle/POOL
        account: Option<AccountName>,
        /// By host, not by who pays
        #[arg(long, conflicts_with = "account")]
        by_host: bool,
        /// The month, in UTC; this one where none is said
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<Month>,
    },
    /// The rows of the ledger: each host from when to when, why, and who pays how much
    #[command(after_help = "Example:\n  lace account ledger shop --limit 20")]
    Ledger {
        /// Rows that this account pays a part of
        account: Option<AccountName>,
        /// The month, in UTC; this one where none is said
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<Month>,
        /// The newest ones, at most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
}

/// Runs `lace account`.
pub async fn run(args: AccountArgs, s: &mut Session) -> Outcome {
    match args.verb {
        AccountVerb::Show { account, by_host, month } => {
            let view = s.client()?.accounts(month).await?;
            if by_host {
                hosts(s, &view.hosts);
            } else {
                let name = account.map(|account| account.to_string());
                let asked = |view: &AccountView| name.as_ref().is_none_or(|name| *name == view.account);
                let accounts: Vec<_> = view.accounts.into_iter().filter(asked).collect();
                payers(s, &accounts);
            }
        }
        AccountVerb::Ledger { account, month, limit } => ledger(s, account, month, limit).await?,
    }
    Ok(Exit::DONE)
}

fn payers(s: &mut Session, accounts: &[AccountView]) {
    s.out.list(accounts, &["account", "this month", "per hour now", "per month at that"], |view| {
        let mut row = vec![view.account.as_str().into()];
        row.extend(amounts(view.micro, view.micro_per_hour, &view.currency).map(Into::into));
        row
    });
}

fn hosts(s: &mut Session, hosts: &[HostCost]) {
    s.out.list(hosts, &["host", "pool", "this month", "per hour now", "per month at that"], |cost| {
        let mut row = vec![cost.host.as_str().into(), cost.pool.as_str().into()];
        row.extend(amounts(cost.micro, cost.micro_per_hour, &cost.currency).map(Into::into));
        row
    });
}

fn amounts(micro: i64, micro_per_hour: i64, currency: &str) -> [String; 3] {
    let per_month = micro_per_hour.saturating_mul(i64::try_from(MONTH_HOURS).unwrap_or(i64::MAX));
    [micro, micro_per_hour, per_month].map(|micro| amount(micro, currency))
}

async fn ledger(
    s: &mut Session,
    account: Option<AccountName>,
    month: Option<Month>,
    limit: usize,
) -> Result<(), lace_model::Problem> {
    let rows = s.client()?.charges(month, account.as_ref(), limit).await?;
    s.out.list(&rows, &["from", "to", "host", "why", "cost", "paid by"], |row| {
        let lines: Vec<String> =
            row.lines.iter().map(|(who, micro)| format!("{who} {}", amount(*micro, &row.currency))).collect();
        vec![
            clock(row.from).into(),
            clock(row.until).into(),
            row.name.as_str().into(),
            row.reason.to_string().into(),
            amount(row.micro(), &row.currency).into(),
            lines.join(", ").into(),
        ]
    });
    Ok(())
}
