//! A CCL file's keys of EC2 as the nouns of ours: provider and pool, which the family names.

use super::super::Session;
use super::config::Config;
use lace_model::provider::ProviderKind;
use lace_model::{AppName, Code, Name, Problem};
use lace_wire::api::{PoolRequest, ProviderRequest};

/// What a provider and a pool are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estate {
    /// The provider's name, and the pool's.
    pub name: String,
    /// Access key id.
    pub access_key: String,
    /// The secret key; never shown.
    pub secret_key: Secret,
    /// Region.
    pub region: String,
    /// Availability zone, where one is said.
    pub zone: Option<String>,
    /// Another endpoint than Amazon's.
    pub endpoint: Option<String>,
    /// Machine image.
    pub image: Option<String>,
    /// Instance type.
    pub profile: String,
    /// Most hosts: one for each node, as CCL had.
    pub hosts_max: u32,
}

/// A value that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// CCL's default was the smallest there was.
const PROFILE: &str = "t3.micro";
/// Where CCL deployed unless told otherwise.
const REGION: &str = "us-east-1";

/// The nouns that the keys make.
///
/// # Errors
/// Keys that are missing, all of them.
pub fn of(config: &Config) -> Result<Estate, Problem> {
    let find = |keys: &[&str]| keys.iter().find_map(|key| config.ec2.get(*key)).cloned();
    let access = find(&["accesskeyid", "accesskey", "keyid", "key"]);
    let secret = find(&["secretaccesskey", "secretkey", "secret"]);
    let (Some(access_key), Some(secret_key)) = (access.clone(), secret.clone()) else {
        let missing = [("ec2_access_key_id", access.is_none()), ("ec2_secret_access_key", secret.is_none())];
        let missing: Vec<&str> = missing.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect();
        return Err(Problem::new(Code::InvalidManifest, format!("the file lacks {}", missing.join(" and ")))
            .hint("or run it on the hosts that there are: {ccl_provider, local}."));
    };
    let zone = find(&["availabilityzone", "zone"]);
    let of_zone =
        zone.as_deref().map(|zone| zone.trim_end_matches(|c: char| c.is_ascii_lowercase()).to_owned());
    let endpoint = find(&["endpoint", "url", "host"]);
    // Amazon's own endpoints name their region: ec2.eu-west-1.amazonaws.com.
    let bare = endpoint.as_deref().map(|e| e.trim_start_matches("https://").trim_start_matches("http://"));
    let bare = bare.map(|host| host.trim_end_matches('/'));
    let amazons = bare.and_then(|host| match host {
        "ec2.amazonaws.com" => Some(REGION.to_owned()),
        host => host.strip_prefix("ec2.")?.strip_suffix(".amazonaws.com").map(str::to_owned),
    });
    if let Some(said) = endpoint.as_deref().filter(|said| amazons.is_none() && !said.contains("://")) {
        let text = format!("ec2_endpoint {said:?} is no address: http:// or https:// has to stand before it");
        return Err(Problem::new(Code::InvalidManifest, text));
    }
    Ok(Estate {
        name: name_of(&config.name),
        access_key,
        secret_key: Secret(secret_key),
        region: find(&["region"]).or(amazons.clone()).or(of_zone).unwrap_or_else(|| REGION.to_owned()),
        zone,
        endpoint: endpoint.filter(|_| amazons.is_none()),
        image: find(&["imageid", "image", "ami", "amiid"]),
        profile: find(&["instancetype", "type", "size"]).unwrap_or_else(|| PROFILE.to_owned()),
        hosts_max: config.size,
    })
}

/// What provider and pool of an application are called.
fn name_of(app: &AppName) -> String {
    format!("{}-ec2", app.as_str().chars().take(35).collect::<String>())
}

/// The machines of the application's own pool go back; its nodes are gone.
///
/// # Errors
/// The controller refuses it.
pub async fn give_back(app: &AppName, s: &mut Session) -> Result<(), Problem> {
    let (client, pool) = (s.client()?, name_of(app));
    let hosts = client.hosts().await?.into_iter().map(|view| view.host);
    for host in hosts.filter(|host| host.pool.as_ref().is_some_and(|name| name.as_str() == pool)) {
        let said = client.host_remove(&host.name, false).await?;
        s.out.note(said.message);
    }
    Ok(())
}

/// Makes provider and pool, or changes those of an earlier deploy. The credentials are sealed by the controller.
///
/// # Errors
/// The controller refuses them.
pub async fn write(estate: &Estate, s: &mut Session) -> Result<(), Problem> {
    let (client, name) =
        (s.client()?, Name::new(&estate.name).map_err(|e| Problem::new(Code::Usage, e.to_string()))?);
    let provider = provider(estate);
    if client.providers().await?.iter().any(|known| known.name == name) {
        client.provider_set(&name, &ProviderRequest { kind: None, ..provider }).await?;
    } else {
        client.provider_add(&name, &provider).await?;
    }
    let pool = pool(estate, &name);
    if client.pools().await?.iter().any(|known| known.name == name) {
        client.pool_set(&name, &PoolRequest { provider: None, ..pool }).await?;
    } else {
        client.pool_add(&name, &pool).await?;
    }
    s.out.note(format!(
        "provider and pool {name}: {}, at most {} of {}",
        estate.region, estate.hosts_max, estate.profile
    ));
    Ok(())
}

fn provider(estate: &Estate) -> ProviderRequest {
    let credentials = [("access-key-id", &estate.access_key), ("secret-access-key", &estate.secret_key.0)];
    ProviderRequest {
        kind: Some(ProviderKind::Ec2),
        region: Some(estate.region.clone()),
        endpoint: estate.endpoint.clone(),
        credentials: credentials.map(|(name, value)| (name.to_owned(), value.clone())).into(),
        ..ProviderRequest::default()
    }
}

fn pool(estate: &Estate, provider: &Name) -> PoolRequest {
    PoolRequest {
        provider: Some(provider.clone()),
        region: Some(estate.region.clone()),
        zone: estate.zone.clone(),
        image: estate.image.clone(),
        profile: Some(estate.profile.clone()),
        hosts_max: Some(estate.hosts_max),
        ..PoolRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::read;
    use super::*;

    fn estate(more: &str) -> Result<Estate, Problem> {
        let text = format!("{{git_url, \"/m8ball\"}}. {{ccl_clustersize, 3}}. {{ccl_provider, ec2}}. {more}");
        of(&read(&text, "here").expect("good").config)
    }

    #[test]
    fn keys_become_a_provider_and_a_pool() {
        let keys = "{ec2_access_key_id, \"A\"}. {ec2_secret_access_key, \"S\"}.";
        let made = estate(keys).expect("whole");
        assert_eq!((made.name.as_str(), made.region.as_str()), ("m8ball-ec2", "us-east-1"));
        assert_eq!((made.profile.as_str(), made.hosts_max, made.zone), ("t3.micro", 3, None));
        assert!(!format!("{:?}", estate(keys)).contains("\"S\""));
        let more = "{ec2_availability_zone, \"eu-west-1b\"}. {ec2_imageid, 'ami-9'}. {ec2_instance_type, \"m3.large\"}.";
        let made = estate(&format!("{keys} {more}")).expect("whole");
        assert_eq!((made.region.as_str(), made.zone.as_deref()), ("eu-west-1", Some("eu-west-1b")));
        assert_eq!((made.image.as_deref(), made.profile.as_str()), (Some("ami-9"), "m3.large"));
        let theirs =
            estate(&format!("{keys} {{ec2_endpoint, \"ec2.eu-west-1.amazonaws.com\"}}.")).expect("whole");
        assert_eq!((theirs.region.as_str(), theirs.endpoint), ("eu-west-1", None));
        let own = estate(&format!("{keys} {{ec2_endpoint, \"http://127.0.0.1:5007\"}}.")).expect("whole");
        assert_eq!(own.endpoint.as_deref(), Some("http://127.0.0.1:5007"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = estate("{ec2_region, \"eu-west-1\"}.").expect_err("no keys").message;
        assert_eq!(missing, "the file lacks ec2_access_key_id and ec2_secret_access_key");
    }
}
