//! The installation's own authority for routes: made when it is first needed, sealed in the store, so that all
//! controllers and a restored one have it. It is another one than that of hosts and agents: who trusts the certificates
//! of routes trusts nothing else of ours.

use crate::Refused;
use crate::row::installation;
use lace_model::Millis;
use lace_model::authority::CA_SECRET;
use lace_store::{Batch, SecretValue, Store};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Clients have to be told to trust another one after this time.
const CA_LIFETIME: Duration = DAY.saturating_mul(3_650);
/// What it issues is renewed after two thirds of this time.
const LIFETIME: Duration = DAY.saturating_mul(90);
/// For clients whose clock is behind ours.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// A chain and its key for a host name, one PEM text.
pub(crate) fn issue(store: &Store, host: &str, now: Millis) -> Result<String, Refused> {
    let authority = load_or_create(store, now)?;
    let key_at = authority.find("-----BEGIN PRIVATE").unwrap_or_default();
    let (certificate, own_key) = authority.split_at(key_at);
    let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(own_key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name = named(host);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = span(now, LIFETIME);
    Ok(format!("{}\n{}", params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

fn load_or_create(store: &Store, now: Millis) -> Result<String, Refused> {
    if let Some((sealed, _)) = store.secret_get(&installation(), CA_SECRET, None)? {
        return Ok(String::from_utf8_lossy(sealed.expose()).into_owned());
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Lace routes of installation {}", store.installation()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = span(now, CA_LIFETIME);
    let text = format!("{}\n{}", params.self_signed(&key)?.pem(), key.serialize_pem());
    let mut batch = Batch::new(None);
    batch.secret_put(&installation(), CA_SECRET, SecretValue::new(text.clone().into_bytes()), true);
    batch.audit("authority create", "installation/routes", "done");
    store.commit(batch)?;
    Ok(text)
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // A common name has 64 characters at most (RFC 5280, appendix A.1); the host name stands in the alternative names.
    name.push(DnType::CommonName, common.chars().take(64).collect::<String>());
    name
}

fn span<T: From<SystemTime>>(now: Millis, lifetime: Duration) -> (T, T) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
    let from = now.checked_sub(BACKDATED).unwrap_or(SystemTime::UNIX_EPOCH);
    (from.into(), (now + lifetime).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_store::{ManualClock, MasterKey};
    use std::sync::Arc;

    #[test]
    fn it_stays_the_same_and_issues_what_can_be_read() {
        let key = MasterKey::from_bytes([1; 32]);
        let store = Store::open_in_memory(key, Arc::new(ManualClock::at(1))).expect("store");
        let now = 1_700_000_000_000;
        let first = load_or_create(&store, now).expect("made");
        assert!(first.starts_with("-----BEGIN CERTIFICATE") && first.contains("-----BEGIN PRIVATE"));
        assert_eq!(load_or_create(&store, now + 1).expect("read"), first);
        let pem = issue(&store, "shop.example.com", now).expect("issued");
        let leaf = crate::leaf::read(&pem).expect("read");
        assert_eq!(leaf.names, ["shop.example.com"]);
        assert!(leaf.issuer.contains("Lace routes"), "{}", leaf.issuer);
        assert_eq!((leaf.not_after - now) / 86_400_000, 90);
    }
}
