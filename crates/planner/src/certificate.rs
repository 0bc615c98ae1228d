//! Which certificate is for which host name, and when somebody should hear that one ends.

use lace_model::Millis;
use lace_model::certificate::{Certificate, CertificateRef, secret_of};

const DAY_MS: Millis = 24 * 3_600 * 1_000;
/// So many days before the end, and at the end, somebody is told.
const WARN_DAYS: [u32; 6] = [30, 14, 7, 3, 1, 0];

/// Each host name gets one certificate: the one given for this very name, else the one that is good for longest.
pub fn certificates_for(all: &[Certificate], hosts: &[&String]) -> Vec<CertificateRef> {
    let best = |host: &str| {
        let good = all.iter().filter(|certificate| certificate.covers(host));
        good.max_by_key(|certificate| (certificate.host == host, certificate.not_after, &certificate.host))
    };
    let reference = |certificate: &Certificate| {
        let mine = |host: &&&String| best(host).is_some_and(|b| b.host == certificate.host);
        let hosts: Vec<String> = hosts.iter().filter(mine).map(|host| (*host).clone()).collect();
        let (secret, version) = (secret_of(&certificate.host), certificate.version);
        (!hosts.is_empty()).then_some(CertificateRef { secret, version, hosts })
    };
    all.iter().filter_map(reference).collect()
}

/// Whole days until its end, 0 when it is over.
pub fn days_left(certificate: &Certificate, now: Millis) -> u32 {
    u32::try_from(certificate.not_after.saturating_sub(now) / DAY_MS).unwrap_or(u32::MAX)
}

/// How many days before the end the warning is that is due now, where it was not given yet.
pub fn warning_due(certificate: &Certificate, now: Millis) -> Option<u32> {
    let left_ms = certificate.not_after.saturating_sub(now);
    let step = WARN_DAYS.into_iter().rev().find(|days| left_ms <= Millis::from(*days) * DAY_MS)?;
    certificate.warned_days.is_none_or(|warned| warned > step).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::Digest;
    use lace_model::certificate::CertificateSource;

    fn certificate(host: &str, names: &[&str], days: u64) -> Certificate {
        Certificate {
            host: host.into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not_before: 0,
            not_after: days * DAY_MS,
            issuer: String::new(),
            digest: Digest::of(host.as_bytes()),
            version: 1,
            added_at: 0,
            warned_days: None,
            source: CertificateSource::Given,
        }
    }

    #[test]
    fn the_very_name_goes_before_a_star_and_the_longer_before_the_shorter() {
        let all = [
            certificate("*.example.com", &["*.example.com", "b.example.com"], 90),
            certificate("a.example.com", &["a.example.com"], 10),
            certificate("old.example.com", &["old.example.com", "b.example.com"], 5),
        ];
        let hosts = ["a.example.com", "b.example.com", "c.d.example.com"].map(str::to_owned);
        let told = certificates_for(&all, &hosts.iter().collect::<Vec<_>>());
        let told: Vec<_> = told.iter().map(|r| (r.secret.as_str(), r.hosts.as_slice())).collect();
        assert_eq!(
            told,
            [
                ("tls:*.example.com", [hosts[1].clone()].as_slice()),
                ("tls:a.example.com", [hosts[0].clone()].as_slice()),
            ]
        );
    }

    #[test]
    fn each_warning_is_given_once() {
        let mut certificate = certificate("a.b", &["a.b"], 100);
        let due = |c: &Certificate, day: u64| warning_due(c, day * DAY_MS);
        assert_eq!(due(&certificate, 69), None);
        assert_eq!(due(&certificate, 70), Some(30));
        certificate.warned_days = Some(30);
        assert_eq!(due(&certificate, 80), None);
        assert_eq!(due(&certificate, 95), Some(7), "one step, though two were missed");
        certificate.warned_days = Some(7);
        assert_eq!((due(&certificate, 99), due(&certificate, 100)), (Some(1), Some(0)));
        assert_eq!(due(&certificate, 200), Some(0));
        certificate.warned_days = Some(0);
        assert_eq!(due(&certificate, 300), None);
        assert_eq!((days_left(&certificate, 99 * DAY_MS), days_left(&certificate, 300 * DAY_MS)), (1, 0));
    }
}
