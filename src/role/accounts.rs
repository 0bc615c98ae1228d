//! The engine's way to providers: their credentials unsealed, and the tickets that machines boot with.

use super::boot::{self, Source};
use super::program;
use lace_api::{IdSource, NewToken, SystemIds, mint_token};
use lace_engine::Accounts;
use lace_model::host::JoinTicket;
use lace_model::machine::Machine;
use lace_model::pool::Pool;
use lace_model::provider::{Provider as Row, ProviderKind, VAULT};
use lace_model::token::{Role, Token};
use lace_model::{AppName, Digest, Name, Object};
use lace_providers::ec2::{Chain, Credentials, Ec2, Patience, Place};
use lace_providers::provider::{Error, Provider};
use lace_providers::sim::Remote;
use lace_store::{Batch, Clock, Expect, SecretValue, Store};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A ticket is good for so long after it was made: a machine is given up before.
const TICKET_MS: u64 = 3_600_000;
/// The attribute of pools that says where machines fetch our binary, where their image has none and it is not the controller.
const AGENT: &str = "agent";

/// An account that was opened, and what it was opened with.
type Opened = BTreeMap<(Name, String), (Digest, Arc<Ec2>)>;

/// Opens accounts by what the store has of them.
pub struct StoredAccounts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    /// Where agents call.
    pub controller: String,
    /// The authority that controllers are known by (PEM).
    pub ca: String,
    opened: Mutex<Opened>,
}

impl StoredAccounts {
    pub fn new(store: Store, clock: Arc<dyn Clock>, controller: String, ca: String) -> Self {
        Self { store, clock, controller, ca, opened: Mutex::default() }
    }

    fn secret(&self, name: &str) -> Result<Option<SecretValue>, Error> {
        let found = self.store.secret_get(&vault()?, name, None).map_err(Error::temporary)?;
        Ok(found.map(|(value, _)| value))
    }

    fn ec2(&self, row: &Row, region: String) -> Result<Arc<dyn Provider>, Error> {
        let sealed = self.secret(row.name.as_str())?;
        let sealed = sealed.as_ref().map(SecretValue::expose);
        let endpoint = row.endpoint.as_deref().unwrap_or_default();
        let with = Digest::of(&[sealed.unwrap_or_default(), endpoint.as_bytes()].concat());
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (row.name.clone(), region.clone());
        if let Some((_, open)) = opened.get(&at).filter(|(opened_with, _)| *opened_with == with) {
            return Ok(open.clone());
        }
        // Where nothing is sealed, what the controller finds around it may serve.
        let chain = match sealed {
            Some(sealed) => Chain::only(given(&row.name, sealed)?),
            None => Chain::of_process(),
        };
        let place = Place { region, endpoint: row.endpoint.clone() };
        let installation = self.store.installation().to_string();
        let open = Arc::new(Ec2::new(&place, chain, Patience::default(), &installation, BTreeMap::new())?);
        opened.insert(at, (with, open.clone()));
        Ok(open)
    }

    /// A simulated account, which `lace sim` keeps.
    fn sim(&self, row: &Row) -> Result<Arc<dyn Provider>, Error> {
        let endpoint = row.endpoint.as_deref().ok_or_else(|| {
            let hint = format!(
                "lace provider set {} --endpoint http://127.0.0.1:7490, where `lace sim` listens",
                row.name
            );
            Error::refused(format_args!("nobody knows where provider {} is simulated", row.name), hint)
        })?;
        let sealed = self.secret(row.name.as_str())?;
        let given: BTreeMap<String, String> = sealed
            .map_or_else(|| Ok(BTreeMap::new()), |sealed| serde_json::from_slice(sealed.expose()))
            .map_err(Error::invalid)?;
        let secret = given.get("secret").map(String::as_str).unwrap_or_default();
        Ok(Arc::new(Remote::new(endpoint, &self.store.installation().to_string(), secret)?))
    }

    /// Is it had from a simulated account?
    fn is_simulated(&self, machine: &Machine) -> Result<bool, Error> {
        let row = self.store.get::<Row>(machine.provider.as_str()).map_err(Error::temporary)?;
        Ok(row.is_some_and(|row| row.value.kind == ProviderKind::Sim))
    }

    /// Refuses an address that machines elsewhere would take for their own.
    fn callable(&self) -> Result<(), Error> {
        let host = self.controller.rsplit_once(':').map_or(self.controller.as_str(), |(host, _)| host);
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback()) {
            return Ok(());
        }
        let what = format!(
            "machines of EC2 cannot call this controller: it listens for agents at {}",
            self.controller
        );
        let hint =
            "start it where they reach it: lace up --link ADDRESS:7441, with an address that is not loopback";
        Err(Error::refused(what, hint))
    }

    /// The ticket, made once and sealed: what a machine boots with stays the same however often it is asked for.
    fn ticket(&self, machine: &Machine) -> Result<JoinTicket, Error> {
        if let Some(kept) = self.secret(&kept_as(machine))? {
            return serde_json::from_slice(kept.expose()).map_err(Error::invalid);
        }
        let now = self.clock.now_ms();
        let new = NewToken {
            expires_at: Some(now + TICKET_MS),
            once: true,
            join: true,
            ..NewToken::new(format!("host {} joins", machine.name), Role::Viewer)
        };
        let ids: &dyn IdSource = &SystemIds;
        let (mut token, text) = mint_token(ids, now, new).map_err(Error::temporary)?;
        token.machine = Some(machine.id);
        let ticket = JoinTicket {
            controllers: vec![self.controller.clone()],
            ca: self.ca.clone(),
            token: text,
            name: Some(machine.name.clone()),
        };
        let sealed = serde_json::to_string(&ticket).map_err(Error::invalid)?;
        let mut batch = Batch::new(None);
        batch.put(&token, Expect::Absent);
        batch.secret_put(&vault()?, &kept_as(machine), SecretValue::new(sealed), true);
        self.store.commit(batch).map_err(Error::temporary)?;
        Ok(ticket)
    }
}

impl Accounts for StoredAccounts {
    fn open(&self, provider: &Name, region: Option<&str>) -> Result<Arc<dyn Provider>, Error> {
        let row = self.store.get::<Row>(provider.as_str()).map_err(Error::temporary)?;
        let lacks = || Error::invalid(format_args!("there is no provider {provider} any more"));
        let row = row.ok_or_else(lacks)?.value;
        match row.kind {
            ProviderKind::Ec2 => {}
            ProviderKind::Sim => return self.sim(&row),
            _ => {
                let hint = "name a pool of a provider of kind ec2";
                return Err(Error::refused(
                    format_args!("provider {} makes no machines here", row.name),
                    hint,
                ));
            }
        }
        let region = region.map(str::to_owned).ok_or_else(|| {
            let hint = format!("lace provider set {} --region R", row.name);
            Error::refused(format_args!("provider {} says no region", row.name), hint)
        })?;
        self.ec2(&row, region)
    }

    fn user_data(&self, machine: &Machine) -> Result<String, Error> {
        if self.is_simulated(machine)? {
            return serde_json::to_string(&self.ticket(machine)?).map_err(Error::invalid);
        }
        self.callable()?;
        let pool = self.store.get::<Pool>(machine.pool.as_str()).map_err(Error::temporary)?;
        let said = pool.and_then(|row| row.value.attributes.get(AGENT).cloned());
        let source = match said {
            Some(url) => Source::Url(checked(&url)?.to_owned()),
            None => Source::Controller,
        };
        let digest = program::digest().map_err(Error::temporary)?;
        boot::script(&self.ticket(machine)?, &source, &digest).map_err(Error::invalid)
    }

    fn forget(&self, machine: &Machine) {
        let forgotten = || {
            let mut batch = Batch::new(None);
            batch.secret_remove(&vault()?, &kept_as(machine));
            let tokens = self.store.list::<Token>("").map_err(Error::temporary)?;
            for token in tokens.iter().filter(|row| row.value.machine == Some(machine.id)) {
                batch.delete::<Token>(&token.value.id.to_string(), Expect::Any);
            }
            self.store.commit(batch).map_err(Error::temporary)
        };
        if let Err(error) = forgotten() {
            tracing::warn!(%error, host = %machine.name, "its ticket is still kept");
        }
    }
}

fn vault() -> Result<AppName, Error> {
    Name::new(VAULT).map_err(Error::invalid)
}

/// No provider has a name of this length.
fn kept_as(machine: &Machine) -> String {
    format!("ticket-of-{}-{}", Machine::KIND, machine.id)
}

fn given(provider: &Name, sealed: &[u8]) -> Result<Credentials, Error> {
    let damaged = |_| Error::invalid(format_args!("the credentials of provider {provider} are damaged"));
    let mut given: BTreeMap<String, String> = serde_json::from_slice(sealed).map_err(damaged)?;
    let hint = format!("lace provider set {provider} --stdin");
    let mut take = |name: &str| {
        let lacks = || Error::refused(format_args!("provider {provider} has no {name}"), hint.clone());
        given.remove(name).ok_or_else(lacks)
    };
    Ok(Credentials::given(take("access-key-id")?, take("secret-access-key")?, take("session-token").ok()))
}

/// An address that may stand between quotes in a script.
fn checked(url: &str) -> Result<&str, Error> {
    let plain = |c: char| c.is_ascii_graphic() && !"'\"\\`$".contains(c);
    match url.starts_with("https://") && url.len() <= 1_024 && url.chars().all(plain) {
        true => Ok(url),
        false => Err(Error::invalid(format_args!("{AGENT}={url:?} is no address that begins with https://"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::HostId;
    use lace_model::machine::MachineState;
    use lace_providers::provider::USER_DATA_BYTES_MAX;
    use lace_store::{ManualClock, MasterKey};

    fn accounts() -> StoredAccounts {
        let clock = Arc::new(ManualClock::at(1_000));
        let store = Store::open_in_memory(MasterKey::from_bytes([3; 32]), clock.clone()).expect("a store");
        StoredAccounts::new(store, clock, "192.0.2.1:7441".into(), "PEM\n".repeat(500))
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect(text)
    }

    fn machine(region: Option<&str>) -> Machine {
        Machine {
            id: HostId::derive(&[1; 32], "one"),
            name: name("eu-1"),
            pool: name("eu"),
            provider: name("mine"),
            region: region.map(str::to_owned),
            state: MachineState::Ordered,
            instance: None,
            network: None,
            zone: None,
            kind: None,
            address: None,
            epoch: None,
            price: None,
            taken_at: None,
            ordered_at: 1_000,
            since: 1_000,
            why: None,
        }
    }

    #[test]
    fn a_machine_boots_with_the_same_ticket_each_time() {
        let accounts = accounts();
        let first = accounts.user_data(&machine(None)).expect("made");
        assert_eq!(accounts.user_data(&machine(None)).expect("kept"), first);
        assert!(first.len() < USER_DATA_BYTES_MAX / 2, "{} bytes", first.len());
        let (_, rest) = first.split_once("<<'TICKET'\n").expect("a ticket");
        let ticket: JoinTicket = rest.split_once("\nTICKET").expect("its end").0.parse().expect("a ticket");
        assert_eq!(
            (ticket.name, ticket.controllers),
            (Some(name("eu-1")), vec!["192.0.2.1:7441".to_owned()])
        );
        let tokens = accounts.store.list::<Token>("").expect("readable");
        let token = &tokens[0].value;
        assert!(tokens.len() == 1 && token.join && token.machine == Some(machine(None).id));
        assert!(lace_api::is_text_of(token, &ticket.token));
        accounts.forget(&machine(None));
        assert_eq!(accounts.store.list::<Token>("").expect("readable"), [], "nobody joins with it any more");
        assert_ne!(accounts.user_data(&machine(None)).expect("made anew"), first);
    }

    #[test]
    fn an_address_that_a_pool_says_is_one() {
        assert!(checked("https://blobs.example.com/lace").is_ok());
        for bad in ["http://x", "https://x/'; rm -rf /;'", "https://x/$(id)", "https://x y"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_account_lacks_is_said() {
        let accounts = accounts();
        let mine = name("mine");
        let refused = |region: Option<&str>| match accounts.open(&mine, region) {
            Ok(_) => panic!("opened"),
            Err(error) => error,
        };
        assert!(refused(None).to_string().contains("no provider mine"));
        let row = Row {
            name: name("mine"),
            kind: ProviderKind::Ec2,
            region: None,
            endpoint: Some("http://127.0.0.1:1".into()),
            credentials: Vec::new(),
            made_at: 1,
            discount: None,
        };
        let mut batch = Batch::new(None);
        batch.put(&row, Expect::Absent);
        accounts.store.commit(batch).expect("stored");
        assert!(refused(None).hint().is_some_and(|hint| hint.contains("--region")));
        assert!(accounts.open(&mine, Some("eu-west-1")).is_ok(), "by what the controller finds around it");
        let vault = vault().expect("a name");
        let half = SecretValue::new(r#"{"secret-access-key":"s"}"#);
        accounts.store.secret_put(&vault, "mine", half, false).expect("sealed");
        let error = refused(Some("eu-west-1"));
        assert!(error.to_string().contains("access-key-id"), "{error}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("lace provider set mine --stdin")),
            "{error:?}"
        );
        let sealed = r#"{"access-key-id":"AKID","secret-access-key":"s"}"#;
        accounts.store.secret_put(&vault, "mine", SecretValue::new(sealed), false).expect("sealed");
        let open =
            |region: &str| accounts.open(&mine, Some(region)).unwrap_or_else(|error| panic!("{error}"));
        let first = open("eu-west-1");
        assert!(Arc::ptr_eq(&first, &open("eu-west-1")), "one account, one value");
        assert!(!Arc::ptr_eq(&first, &open("us-east-1")));
    }

    #[test]
    fn machines_are_not_sent_to_an_address_that_is_their_own() {
        for (controller, good) in [
            ("127.0.0.1:7441", false),
            ("[::1]:7441", false),
            ("localhost:7441", false),
            ("192.0.2.1:7441", true),
            ("[2001:db8::1]:7441", true),
            ("lace.example.com:7441", true),
        ] {
            let accounts = StoredAccounts { controller: controller.into(), ..accounts() };
            let told = accounts.user_data(&machine(None));
            assert_eq!(told.is_ok(), good, "{controller}: {told:?}");
            let hint = told.as_ref().err().and_then(Error::hint).unwrap_or("--link");
            assert!(hint.contains("--link"), "{hint}");
        }
    }
}
