//! The certificates of this host's routes: in memory for handshakes, sealed on disk for the next start.

use crate::seal::{Seal, write_private};
use lace_model::Digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Certificates that one host holds.
const HELD_MAX: usize = 4_096;

/// A certificate as the agent hands it over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenCertificate {
    /// What it is called, version included: `shop/tls:shop.example.com@3`.
    pub name: String,
    /// Host names for which it is presented.
    pub hosts: Vec<String>,
    /// The chain and the key (PEM).
    pub pem: String,
}

impl fmt::Debug for GivenCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenCertificate").field("name", &self.name).field("hosts", &self.hosts).finish()
    }
}

/// Why a certificate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read, or the key belongs to another one.
    #[error("{name} is of no use: {cause}")]
    Useless {
        /// Which.
        name: String,
        /// Why.
        cause: String,
    },
    /// There are too many.
    #[error("this host holds {HELD_MAX} certificates already")]
    TooMany,
}

/// Host names and key by the certificate's name.
type Held = BTreeMap<String, (Vec<String>, Arc<CertifiedKey>)>;
/// By host name, for handshakes.
type Presented = HashMap<String, Arc<CertifiedKey>>;

/// What is held.
pub(crate) struct Chest {
    held: Mutex<Held>,
    presented: RwLock<Presented>,
    dir: PathBuf,
    seal: Seal,
}

impl fmt::Debug for Chest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chest")
    }
}

impl ResolvesServerCert for Chest {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()?)
    }
}

impl Chest {
    /// Opens what was held before. A file that is of no use is told of and passed over.
    pub fn open(state_dir: &Path) -> io::Result<Arc<Self>> {
        let dir = state_dir.join("certificates");
        std::fs::create_dir_all(&dir)?;
        let seal = Seal::open(&state_dir.join("door.key"))?;
        let chest = Self { held: Mutex::default(), presented: RwLock::default(), dir, seal };
        for entry in std::fs::read_dir(&chest.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "sealed")
                && let Err(cause) = chest.recall(&path)
            {
                tracing::warn!(path = %path.display(), cause, "a certificate of the last run is not used");
            }
        }
        chest.present(&chest.held());
        Ok(Arc::new(chest))
    }

    fn recall(&self, path: &Path) -> Result<(), String> {
        let sealed = std::fs::read(path).map_err(|e| e.to_string())?;
        let bound = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = self.seal.open_value(&bound, &sealed).ok_or("it was not sealed here")?;
        let given: GivenCertificate = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        let key = read(&given).map_err(|e| e.to_string())?;
        self.held().insert(given.name, (given.hosts, key));
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is a certificate held for this host name?
    pub fn has(&self, host: &str) -> bool {
        self.find(host).is_some()
    }

    fn find(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let presented = self.presented.read().unwrap_or_else(PoisonError::into_inner);
        match presented.get(host) {
            None if host.bytes().any(|b| b.is_ascii_uppercase()) => {
                presented.get(&host.to_ascii_lowercase()).cloned()
            }
            found => found.cloned(),
        }
    }

    /// Which are held, and for which host names.
    pub fn list(&self) -> BTreeMap<String, Vec<String>> {
        self.held().iter().map(|(name, (hosts, _))| (name.clone(), hosts.clone())).collect()
    }

    /// Takes one, or changes its host names. It is presented from the next handshake on. Blocks for the disk.
    pub fn put(&self, given: GivenCertificate) -> Result<(), CertificateError> {
        let key = read(&given)?;
        let mut held = self.held();
        if held.len() >= HELD_MAX && !held.contains_key(&given.name) {
            return Err(CertificateError::TooMany);
        }
        let path = self.path(&given.name);
        let bound = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = serde_json::to_vec(&given).map_err(|e| e.to_string());
        let sealed = bytes.and_then(|bytes| self.seal.close(&bound, &bytes));
        let written = sealed.and_then(|sealed| write_private(&path, &sealed).map_err(|e| e.to_string()));
        if let Err(error) = written {
            tracing::error!(path = %path.display(), error, "a certificate is not kept over a restart");
        }
        held.insert(given.name, (given.hosts, key));
        self.present(&held);
        Ok(())
    }

    /// Forgets one. Telling it twice is fine.
    pub fn gone(&self, name: &str) {
        let mut held = self.held();
        let _ = std::fs::remove_file(self.path(name));
        if held.remove(name).is_some() {
            self.present(&held);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.sealed", Digest::of(name.as_bytes())))
    }

    /// Of two for one host name, the higher version is presented: the other is about to go.
    fn present(&self, held: &Held) {
        let version = |name: &str| name.rsplit_once('@').and_then(|(_, v)| v.parse::<u64>().ok());
        let mut ordered: Vec<_> = held.iter().collect();
        ordered.sort_by_key(|(name, _)| version(name));
        let of_one =
            ordered.into_iter().flat_map(|(_, (hosts, key))| hosts.iter().map(move |host| (host, key)));
        let next: Presented = of_one.map(|(host, key)| (host.clone(), Arc::clone(key))).collect();
        *self.presented.write().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

fn read(given: &GivenCertificate) -> Result<Arc<CertifiedKey>, CertificateError> {
    let useless = |cause: String| CertificateError::Useless { name: given.name.clone(), cause };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(given.pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| useless(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(given.pem.as_bytes()).map_err(|e| useless(e.to_string()))?;
    let provider = rustls::crypto::ring::default_provider();
    let key = CertifiedKey::from_der(chain, key, &provider).map_err(|e| useless(e.to_string()))?;
    Ok(Arc::new(key))
}
