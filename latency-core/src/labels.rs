//! The words by which the bundled model tells ends apart, as types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, list, text};
use crate::row::Value;

macro_rules! labels {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $word_doc:literal])+ $variant:ident => $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $word_doc])+ #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every word there is.
            ///
            /// ```
            #[doc = concat!("use latency_core::", stringify!($name), ";")]
            ///
            #[doc = concat!("for label in ", stringify!($name), "::ALL {")]
            #[doc = concat!("    assert_eq!(label.as_str().parse::<", stringify!($name), ">()?, *label);")]
            /// }
            /// # Ok::<(), latency_core::Error>(())
            /// ```
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The word, as it stands in tables and JSON.
            ///
            /// ```
            #[doc = concat!("use latency_core::", stringify!($name), ";")]
            ///
            #[doc = concat!("let words: Vec<_> = ", stringify!($name), "::ALL.iter().map(|label| label.as_str()).collect();")]
            #[doc = concat!("assert_eq!(words, [", $( "\"", $word, "\", ", )+ "]);")]
            /// ```
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<$name> for Value {
            /// The word.
            fn from(label: $name) -> Self {
                Self::from(label.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// From the word, in any case.
            fn from_str(word: &str) -> Result<Self> {
                Self::ALL.iter().find(|label| label.as_str().eq_ignore_ascii_case(word)).copied().ok_or_else(|| {
                    let message = format!("found {}; allowed: {}", text(word), list(Self::ALL));
                    Error::new(ErrorKind::InvalidField, message)
                })
            }
        }
    };
}

labels! {
    /// How an end is connected, as in `src_access` and `dst_access`.
    ///
    /// ```
    /// use latency_core::Access;
    ///
    /// assert_eq!("wifi".parse::<Access>()?, Access::Wifi);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    Access {
        /// `server`: a machine in a data centre.
        Server => "server",
        /// `wired`: a cable at home or in an office.
        Wired => "wired",
        /// `wifi`: wireless at home or in an office.
        Wifi => "wifi",
        /// `cellular`: a mobile network.
        Cellular => "cellular",
        /// `starlink`: satellites in low orbit.
        Starlink => "starlink",
        /// `residential`: a home, of unknown kind.
        Residential => "residential",
    }
}

labels! {
    /// A cloud provider, as in `src_provider` and `dst_provider`.
    ///
    /// ```
    /// use latency_core::{Place, Provider};
    ///
    /// assert_eq!(Place::find("aws:us-east-1")?.provider(), Some(Provider::Aws));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    Provider {
        /// `aws`: Amazon Web Services.
        Aws => "aws",
        /// `azure`: Microsoft Azure.
        Azure => "azure",
        /// `gcp`: Google Cloud.
        Gcp => "gcp",
        /// `other`: any other provider.
        Other => "other",
    }
}

labels! {
    /// A cloud's network tier, as in `src_tier` and `dst_tier`.
    ///
    /// ```
    /// use latency_core::Tier;
    ///
    /// assert_eq!(Tier::Premium.to_string(), "premium");
    /// ```
    Tier {
        /// `premium`: traffic stays on the provider's own network as long as it can.
        Premium => "premium",
        /// `standard`: traffic leaves for the public Internet near its start.
        Standard => "standard",
    }
}
