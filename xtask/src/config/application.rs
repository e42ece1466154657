//! Where the application is asked, and what the types of its settings cannot say.

use super::Application;
use super::address::{Wrong, address};

/// What an address may hold: nothing that a program between us and the server could read in two ways.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%:/[]@".contains(c)
}

impl Application {
    /// What is wrong with these settings.
    pub(super) fn problem(&self) -> Option<String> {
        let wrong =
            address(&self.url, false).or_else(|| (!self.url.chars().all(is_plain)).then_some(Wrong::Form));
        match wrong {
            // Not quoted: it may hold a secret.
            Some(Wrong::Login) => Some(
                "application.url holds a login; what the application is asked must be answered to everybody"
                    .to_owned(),
            ),
            // Not quoted either: a query may hold a key.
            Some(Wrong::Form) => Some(
                "application.url is no address such as https://labeler.example, without a query".to_owned(),
            ),
            Some(Wrong::Plain) => Some(format!(
                "application.url {} is not encrypted on its way: use https; http is for this machine only",
                self.url
            )),
            None => (!self.url.is_empty() && self.url_timeout_seconds == 0)
                .then(|| "application.url-timeout-seconds is 0: nobody could answer in time".to_owned()),
        }
    }

    /// The address to ask, where the application does not run on this machine.
    pub fn address(&self) -> Option<&str> {
        (!self.url.is_empty()).then(|| self.url.trim_end_matches('/'))
    }

    /// Whether a migration starts it.
    pub fn is_started(&self) -> bool {
        self.url.is_empty() && !self.command.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Application {
        Application {
            url: url.to_owned(),
            url_timeout_seconds: 300,
            ..Application::default()
        }
    }

    #[test]
    fn the_application_is_asked_over_tls_or_on_this_machine() {
        for good in [
            "",
            "https://labeler.example",
            "https://labeler.example:8443/labeler/",
            "http://127.0.0.1:8001",
            "http://[::1]:8001",
            "http://localhost",
        ] {
            assert_eq!(at(good).problem(), None, "{good}");
        }
        for bad in [
            "http://labeler.example",
            "http://127.0.0.1.example",
            "http://localhost\\@labeler.example",
            "labeler.example",
            "file:///etc/passwd",
            "https://",
            "https://labeler.example\n-k",
        ] {
            assert!(at(bad).problem().is_some(), "{bad}");
        }
        let never = Application {
            url_timeout_seconds: 0,
            ..at("https://labeler.example")
        };
        assert!(never.problem().unwrap().contains("url-timeout-seconds"));
    }

    #[test]
    fn what_may_be_a_secret_in_the_address_is_refused_and_not_repeated() {
        for url in [
            "https://me:s3cr3t@labeler.example",
            "https://labeler.example/?key=s3cr3t",
        ] {
            let problem = at(url).problem().unwrap();
            assert!(!problem.contains("s3cr3t"), "{problem}");
        }
    }

    #[test]
    fn an_address_loses_the_slash_at_its_end_and_starts_nothing() {
        let application = Application {
            command: vec!["-m".to_owned()],
            ..at("https://labeler.example/labeler/")
        };
        assert_eq!(application.address(), Some("https://labeler.example/labeler"));
        assert!(!application.is_started());
        assert_eq!(at("").address(), None);
    }
}
