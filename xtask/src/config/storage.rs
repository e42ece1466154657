//! What `[storage]` means for the `aws` client, and what its types cannot say.

use std::time::Duration;

use infra::s3::{self, Location, Options};

use super::address::{Wrong, address};
use super::{Encryption, Storage};

impl Storage {
    /// What is wrong with these settings.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.bucket.is_empty()
            && let Err(why) = Location::new(&self.bucket, &self.prefix)
        {
            return Some(format!("storage: {why}"));
        }
        if !self.kms_key.is_empty() && self.encryption != Encryption::Kms {
            return Some("storage.kms-key needs storage.encryption = \"kms\"".to_owned());
        }
        self.endpoint_problem()
    }

    fn endpoint_problem(&self) -> Option<String> {
        match address(&self.endpoint_url, self.allow_plain_http)? {
            // Not quoted: it may hold a secret.
            Wrong::Login => Some(
                "storage.endpoint-url holds a login; credentials belong to the aws client's environment or profile"
                    .to_owned(),
            ),
            Wrong::Form => Some(format!(
                "storage.endpoint-url is {:?}; wanted https://HOST or http://HOST",
                self.endpoint_url
            )),
            Wrong::Plain => Some(format!(
                "storage.endpoint-url {} is not encrypted on its way: use https, or set storage.allow-plain-http",
                self.endpoint_url
            )),
        }
    }

    /// How the client is asked.
    pub fn options(&self) -> Options {
        let named = |text: &String| (!text.is_empty()).then(|| text.clone());
        Options {
            program: (!self.program.as_os_str().is_empty()).then(|| self.program.clone()),
            profile: named(&self.profile),
            credentials_file: Some(self.credentials_file.clone()).filter(|file| !file.as_os_str().is_empty()),
            region: named(&self.region),
            endpoint: named(&self.endpoint_url),
            encryption: match self.encryption {
                Encryption::Bucket => s3::Encryption::Bucket,
                Encryption::Aes256 => s3::Encryption::Aes256,
                Encryption::Kms => s3::Encryption::Kms(named(&self.kms_key)),
            },
            connect_timeout: Duration::from_secs(self.connect_timeout_seconds.max(1)),
            read_timeout: Duration::from_secs(self.read_timeout_seconds.max(1)),
            attempts: self.attempts.max(1),
            minimum_rate: self.minimum_kibibytes_per_second.max(1) * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(endpoint: &str) -> Storage {
        Storage {
            endpoint_url: endpoint.to_owned(),
            ..Storage::default()
        }
    }

    #[test]
    fn an_address_is_encrypted_or_on_this_machine_or_allowed() {
        for good in [
            "",
            "https://r2.example",
            "http://127.0.0.1:9000",
            "http://localhost",
            "http://[::1]:9000/",
        ] {
            assert_eq!(storage(good).problem(), None, "{good}");
        }
        for bad in [
            "http://minio.example:9000",
            "ftp://x",
            "r2.example",
            "https://",
            "http://127.0.0.1.example",
        ] {
            assert!(storage(bad).problem().is_some(), "{bad}");
        }
        let allowed = Storage {
            allow_plain_http: true,
            ..storage("http://minio.example:9000")
        };
        assert_eq!(allowed.problem(), None);
    }

    #[test]
    fn a_login_in_an_address_is_refused_and_not_repeated() {
        let problem = storage("https://key:s3cr3t@r2.example").problem().unwrap();
        assert!(!problem.contains("s3cr3t"), "{problem}");
    }
}
