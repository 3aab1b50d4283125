//! Headers that every answer carries: what a browser may do with it.

use rocket::fairing::AdHoc;
use rocket::http::Header;
use rocket::shield::{Feature, Frame, NoSniff, Permission, Policy, Referrer, Shield};

/// Attaches the headers.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("headers", |rocket| async {
        let permission = Permission::blocked(Feature::Camera).block(Feature::Microphone).block(Feature::Geolocation);
        let shield = Shield::new()
            .enable(NoSniff::default())
            .enable(Frame::Deny)
            .enable(Referrer::NoReferrer)
            .enable(permission)
            .enable(ContentSecurity);
        rocket.attach(shield)
    })
}

/// Scripts, styles and images from this server alone, nothing inline, no foreign frames or forms.
#[derive(Default)]
struct ContentSecurity;

impl Policy for ContentSecurity {
    const NAME: &'static str = "Content-Security-Policy";

    fn header(&self) -> Header<'static> {
        Header::new(
            Self::NAME,
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        )
    }
}
