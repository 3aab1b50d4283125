//! Headers that every answer carries: what a browser may do with it, and that nobody keeps it.

use rocket::fairing::AdHoc;
use rocket::http::Header;
use rocket::shield::{Feature, Frame, NoSniff, Permission, Policy, Referrer, Shield};

use crate::client::Client;

/// Attaches the headers.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("headers", |rocket| async {
        let shield = Shield::new()
            .enable(NoSniff::default())
            .enable(Frame::Deny)
            .enable(Referrer::NoReferrer)
            .enable(permissions())
            .enable(ContentSecurity)
            .enable(Opener)
            .enable(Resource)
            .enable(Embedder);
        rocket.attach(shield).attach(AdHoc::on_response("headers", |request, response| {
            let mut default = |name: &'static str, value: &'static str| {
                if !response.headers().contains(name) {
                    response.set_header(Header::new(name, value));
                }
            };
            // Predictions change with the model, and who asks what is nobody's business.
            default("Cache-Control", "no-store");
            if Client::of(request).secure {
                default("Strict-Transport-Security", "max-age=31536000");
            }
            Box::pin(async {})
        }))
    })
}

/// Nothing that a device can do is needed here.
fn permissions() -> Permission {
    [
        Feature::Accelerometer,
        Feature::Autoplay,
        Feature::Displaycapture,
        Feature::EncryptedMedia,
        Feature::Fullscreen,
        Feature::Geolocation,
        Feature::Gyroscope,
        Feature::Magnetometer,
        Feature::Microphone,
        Feature::Midi,
        Feature::Payment,
        Feature::PictureInPicture,
        Feature::PublickeyCredentialsGet,
        Feature::ScreenWakeLock,
        Feature::Serial,
        Feature::Usb,
        Feature::XrSpatialTracking,
        Feature::InterestCohort,
    ]
    .into_iter()
    .fold(Permission::blocked(Feature::Camera), Permission::block)
}

macro_rules! policies {
    ($($(#[$doc:meta])* $name:ident: $header:literal = $value:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        struct $name;

        impl Policy for $name {
            const NAME: &'static str = $header;

            fn header(&self) -> Header<'static> {
                Header::new(Self::NAME, $value)
            }
        }
    )*};
}

policies! {
    /// Scripts, styles, images and calls from and to this server alone, nothing inline, nothing else at all.
    ContentSecurity: "Content-Security-Policy" = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
        connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    /// Windows of other sites get no hold of ours.
    Opener: "Cross-Origin-Opener-Policy" = "same-origin";
    /// Other sites' pages cannot embed answers. Origins in `LATENCY_CORS_ORIGINS` ask by CORS, which this does not touch.
    Resource: "Cross-Origin-Resource-Policy" = "same-origin";
    /// Nor does ours embed anything of theirs.
    Embedder: "Cross-Origin-Embedder-Policy" = "require-corp";
}
